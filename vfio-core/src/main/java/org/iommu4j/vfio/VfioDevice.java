// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.device.DeviceId;

/**
 * A device that is registered with VFIO.
 *
 * <p>Source: {@code struct vfio_device}.
 */
public final class VfioDevice {
    private final IommuDevice device;
    private final int groupId;

    /** How many times it is open; under VFIO's lock. */
    int openCount;

    VfioDevice(IommuDevice device, int groupId) {
        this.device = device;
        this.groupId = groupId;
    }

    /** Returns the IOMMU's device. */
    public IommuDevice device() {
        return device;
    }

    /** Returns its identity: a PCI address for vfio-pci, a name for vfio-platform. */
    public DeviceId id() {
        return device.id();
    }

    /** Returns the number of its group, for {@link Vfio#openGroup}. */
    public int groupId() {
        return groupId;
    }

    /** Returns the prediction that a domain of this device will block no-snoop. */
    public boolean canEnforceCacheCoherency() {
        return device.iommu().capable(device, IommuCapability.ENFORCE_CACHE_COHERENCY);
    }

    @Override
    public String toString() {
        return id().toString();
    }
}
