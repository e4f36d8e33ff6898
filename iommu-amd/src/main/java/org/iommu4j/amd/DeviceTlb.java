// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.amd.fmt.Command;
import org.iommu4j.pci.PciAddress;

/** A device's own IOTLB (ATS), invalidated by commands to its unit. */
final class DeviceTlb {
    private final PciAddress address;
    private final DeviceServices services;

    /**
     * Makes the IOTLB of a device.
     *
     * @param services the function's services, possibly without an IOTLB
     */
    DeviceTlb(PciAddress address, DeviceServices services) {
        this.address = address;
        this.services = services;
    }

    /** Returns whether the device may have an IOTLB. */
    boolean isSupported() {
        return services.hasAts();
    }

    /** Returns whether the device may hold translations now. */
    boolean isInUse() {
        return services.atsEnabled();
    }

    /**
     * Adds the command that invalidates pages in it, where the device may hold translations now.
     *
     * @param batch its unit's batch
     * @param word1 word 1 of the command, with GN for a PASID
     */
    void addForgetting(CommandBatch batch, int pasid, long word1) {
        if (isInUse()) {
            batch.add(Command.invalidateIotlbPages(address.requesterId(), pasid, services.queueDepth()), word1);
        }
    }

    @Override
    public String toString() {
        return address.toString();
    }
}
