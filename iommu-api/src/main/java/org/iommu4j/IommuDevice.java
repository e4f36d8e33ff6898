// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import java.util.List;
import java.util.Optional;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.device.DeviceId;

/**
 * A device that an opened {@link Iommu} translates for.
 *
 * <p>Instances come from {@link Iommu#probe} only, one per function or named device, and belong to the driver that made
 * them [device-1].
 */
public interface IommuDevice {
    /** Returns the device's identity: the address of its PCI function, or its name [device-id-1]. */
    DeviceId id();

    /** Returns the driver that translates for this device [device-iommu-1]. */
    Iommu iommu();

    /**
     * Returns the device's reserved regions, sorted by start; those of one type and with the same rights are merged
     * where they overlap [reserved-1].
     */
    List<ReservedRegion> reservedRegions();

    /**
     * Returns whether the device's interrupts are remapped, so that it can't forge another's [isolated-msi-1].
     *
     * <p>Source: {@code msi_device_has_isolated_msi}.
     */
    boolean isolatedMsi();

    /**
     * Returns how many PASIDs the device and its unit know, a power of two up to 2^20; 0 when requests with PASID are
     * refused [max-pasids-1].
     *
     * <p>Source: {@code max_pasids} in {@code struct dev_iommu}.
     */
    default int maxPasids() {
        return 0;
    }

    /**
     * Returns what the driver tells user space of the device's unit, {@link HardwareInfo#NONE} when it tells nothing;
     * constant for the device's life [hardware-info-1].
     *
     * <p>Source: {@code hw_info} in {@code struct iommu_ops}.
     */
    default HardwareInfo hardwareInfo() {
        return HardwareInfo.NONE;
    }

    /**
     * Returns the name of the unit a slice of which can be the IOMMU of a guest that has the device, empty when the
     * driver makes none; constant for the device's life [virtual-unit-1].
     *
     * <p>Source: {@code viommu_init} in {@code struct iommu_ops}.
     */
    default Optional<String> virtualIommuUnit() {
        return Optional.empty();
    }

    /**
     * Returns the device's requests for pages, empty when it or its unit can't have any; constant for the device's life
     * [page-requests-of-device-1].
     */
    default Optional<PageRequests> pageRequests() {
        return Optional.empty();
    }
}
