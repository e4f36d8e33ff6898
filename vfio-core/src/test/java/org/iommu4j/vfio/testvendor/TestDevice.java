// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.testvendor;

import java.util.List;
import java.util.Optional;
import org.iommu4j.HardwareInfo;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.ReservedRegion;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.device.DeviceId;

/** A device whose properties a test sets. */
public final class TestDevice implements IommuDevice {
    private final TestIommu iommu;
    private final DeviceId id;

    /** What {@link #reservedRegions} answers. */
    public List<ReservedRegion> reservedRegions =
            List.of(new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI));
    /** What {@link #isolatedMsi} answers. */
    public boolean isolatedMsi = true;
    /** Whether ordinary DMA is coherent. */
    public boolean cacheCoherency = true;
    /** Whether this device's unit can block no-snoop, and says so. */
    public boolean snoopControl = true;
    /** The format of the domains made for this device. */
    public String format = "test";
    /** The start of the aperture of the domains made for this device. */
    public long apertureStart;
    /** The end of the aperture of the domains made for this device. */
    public long apertureEnd = (1L << 39) - 1;
    /** Whether another device's domain of the same format is refused. */
    public boolean refusesForeignDomains;

    /** How many PASIDs it has. */
    public int maxPasids;
    /** What the driver tells of its unit. */
    public HardwareInfo hardwareInfo = HardwareInfo.NONE;

    /** The unit of guests that have it, empty for none. */
    public Optional<String> virtualIommuUnit = Optional.empty();

    /** Its requests for pages, empty where it asks for none. */
    public Optional<PageRequests> pageRequests = Optional.empty();

    TestDevice(TestIommu iommu, DeviceId id) {
        this.iommu = iommu;
        this.id = id;
    }

    @Override
    public DeviceId id() {
        return id;
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

    @Override
    public int maxPasids() {
        return maxPasids;
    }

    @Override
    public HardwareInfo hardwareInfo() {
        return hardwareInfo;
    }

    @Override
    public Optional<String> virtualIommuUnit() {
        return virtualIommuUnit;
    }

    @Override
    public Optional<PageRequests> pageRequests() {
        return pageRequests;
    }

    @Override
    public String toString() {
        return id.toString();
    }
}
