// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import java.util.List;
import org.iommu4j.IommuDevice;
import org.iommu4j.ReservedRegion;
import org.iommu4j.pci.PciAddress;
import org.jspecify.annotations.Nullable;

/** A device: its address, the requester ids of its requests, and the domain that it is in. */
final class MinimalDevice implements IommuDevice {
    /** Writes to these addresses are interrupt requests of x86 before any translation. */
    static final List<ReservedRegion> RESERVED_REGIONS =
            List.of(new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI));

    private final MinimalIommu iommu;
    private final PciAddress address;
    final int[] ids;

    /** Null while it is in none. Guarded by the driver's monitor. */
    @Nullable
    MinimalDomain domain;

    MinimalDevice(MinimalIommu iommu, PciAddress address, int[] ids) {
        this.iommu = iommu;
        this.address = address;
        this.ids = ids;
    }

    @Override
    public PciAddress id() {
        return address;
    }

    @Override
    public MinimalIommu iommu() {
        return iommu;
    }

    @Override
    public List<ReservedRegion> reservedRegions() {
        return RESERVED_REGIONS;
    }

    @Override
    public boolean isolatedMsi() {
        return true;
    }
}
