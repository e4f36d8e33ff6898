// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.List;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.ReservedRegion;
import org.iommu4j.platform.PciAddress;
import org.jspecify.annotations.Nullable;

/** A function that a unit translates for. */
final class AmdDevice implements IommuDevice {
    private final AmdIommu iommu;
    private final PciAddress address;
    private final AmdUnit unit;
    private final DeviceTable table;
    private final int[] requesterIds;
    private final List<ReservedRegion> reservedRegions;
    private final boolean isolatedMsi;

    /** The domain that it is attached to; null is blocked. Guarded by the driver's lock. */
    private @Nullable AmdDomain domain;

    AmdDevice(
            AmdIommu iommu,
            PciAddress address,
            AmdUnit unit,
            DeviceTable table,
            int[] requesterIds,
            List<ReservedRegion> reservedRegions,
            boolean isolatedMsi) {
        this.iommu = iommu;
        this.address = address;
        this.unit = unit;
        this.table = table;
        this.requesterIds = requesterIds.clone();
        this.reservedRegions = reservedRegions;
        this.isolatedMsi = isolatedMsi;
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

    AmdUnit unit() {
        return unit;
    }

    DeviceTable table() {
        return table;
    }

    @Nullable
    AmdDomain domain() {
        return domain;
    }

    void setDomain(@Nullable AmdDomain newDomain) {
        domain = newDomain;
    }

    /** Returns whether its requests may carry an id. */
    boolean uses(int requesterId) {
        for (int id : requesterIds) {
            if (id == requesterId) {
                return true;
            }
        }
        return false;
    }

    /** Returns every id that its requests may carry. Not to be changed. */
    int[] requesterIds() {
        return requesterIds;
    }

    @Override
    public String toString() {
        return address.toString();
    }
}
