// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.List;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.ReservedRegion;
import org.iommu4j.platform.PciAddress;
import org.jspecify.annotations.Nullable;

/** A function behind a unit. Its monitor guards which domain it is in. */
final class IntelDevice implements IommuDevice {
    private final PciAddress address;
    private final IntelIommu iommu;
    private final IntelUnit unit;
    private final int[] aliases;
    private final List<ReservedRegion> reservedRegions;
    private final boolean isolatedMsi;

    /** The context entries before a change, kept here so that detaching allocates nothing. */
    private final long[] savedLow;

    private final long[] savedHigh;
    private @Nullable IntelDomain domain;

    IntelDevice(
            PciAddress address,
            IntelIommu iommu,
            IntelUnit unit,
            int[] aliases,
            List<ReservedRegion> reservedRegions,
            boolean isolatedMsi) {
        this.address = address;
        this.iommu = iommu;
        this.unit = unit;
        this.aliases = aliases.clone();
        this.reservedRegions = List.copyOf(reservedRegions);
        this.isolatedMsi = isolatedMsi;
        this.savedLow = new long[aliases.length];
        this.savedHigh = new long[aliases.length];
    }

    @Override
    public PciAddress address() {
        return address;
    }

    @Override
    public Iommu iommu() {
        return iommu;
    }

    @Override
    public List<ReservedRegion> reservedRegions() {
        return reservedRegions;
    }

    @Override
    public boolean isolatedMsi() {
        return isolatedMsi;
    }

    IntelUnit unit() {
        return unit;
    }

    int[] aliases() {
        return aliases;
    }

    long[] savedLow() {
        return savedLow;
    }

    long[] savedHigh() {
        return savedHigh;
    }

    /** Returns the domain that it is in, null when blocked since it was probed; under the device's monitor. */
    @Nullable
    IntelDomain domain() {
        return domain;
    }

    void setDomain(@Nullable IntelDomain newDomain) {
        domain = newDomain;
    }

    @Override
    public String toString() {
        return address.toString();
    }
}
