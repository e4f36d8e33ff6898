// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

/** A device as a guest knows it, under a virtual IOMMU. Source: {@code struct iommufd_vdevice}. */
final class VirtualDevice extends IommufdObject {
    private final Runnable forget;

    /**
     * Makes one.
     *
     * @param forget runs when it is destroyed
     */
    VirtualDevice(Runnable forget) {
        this.forget = forget;
    }

    @Override
    String kind() {
        return "virtual device";
    }

    @Override
    void destroy() {
        forget.run();
    }
}
