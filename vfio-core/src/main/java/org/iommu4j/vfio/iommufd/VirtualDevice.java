// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

/** A device as a guest knows it, under a virtual IOMMU. Source: {@code struct iommufd_vdevice}. */
final class VirtualDevice extends IommufdObject {
    private final VirtualIommu iommu;
    private final BoundDevice device;
    private final long number;

    VirtualDevice(VirtualIommu iommu, BoundDevice device, long number) {
        this.iommu = iommu;
        this.device = device;
        this.number = number;
    }

    @Override
    String kind() {
        return "virtual device";
    }

    /** Returns the guest's number of it. */
    long number() {
        return number;
    }

    @Override
    void destroy() {
        device.setVirtualDevice(null);
        iommu.remove(this);
    }
}
