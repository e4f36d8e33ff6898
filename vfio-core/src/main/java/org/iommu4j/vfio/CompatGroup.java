// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import org.iommu4j.IommuDevice;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.vfio.iommufd.BoundDevice;
import org.iommu4j.vfio.iommufd.CompatContainer;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdAccess;

/**
 * A group in an iommufd that serves as its container: an open device is bound to it, and attached to its IOAS.
 *
 * <p>Under VFIO's lock. Source: {@code vfio_group_ioctl_set_container}, {@code vfio_df_group_open}.
 */
final class CompatGroup {
    private final CompatContainer container;

    private CompatGroup(Iommufd iommufd) {
        this.container = iommufd.vfioContainer();
    }

    /**
     * Puts a group in.
     *
     * @param hasIommu whether the group has an IOMMU, or emulates devices; else it is one without
     * @throws org.iommu4j.IommuException as {@link CompatContainer#enter} or {@link CompatContainer#enterWithoutIommu}
     */
    static CompatGroup enter(Iommufd iommufd, boolean hasIommu) {
        CompatGroup entered = new CompatGroup(iommufd);
        if (hasIommu) {
            entered.container.enter();
        } else {
            entered.container.enterWithoutIommu();
        }
        return entered;
    }

    void leave() {
        container.leave();
    }

    /**
     * Opens a device behind an IOMMU: binds and attaches it.
     *
     * @throws org.iommu4j.IommuException as {@link Iommufd#bind} and {@link BoundDevice#attach}; it is not open
     */
    BoundDevice open(IommuGroup group, IommuDevice device) {
        BoundDevice bound = container.bind(group, device);
        boolean attached = false;
        try {
            bound.attach(container.ioasId());
            attached = true;
            return bound;
        } finally {
            if (!attached) {
                bound.unbind();
            }
        }
    }

    /**
     * Opens an emulated device.
     *
     * @throws org.iommu4j.IommuException as {@link CompatContainer#openEmulated}; it is not open
     */
    IommufdAccess openEmulated(IommufdAccess.Owner owner) {
        return container.openEmulated(owner);
    }

    /**
     * Opens a device without an IOMMU.
     *
     * @throws org.iommu4j.IommuException as {@link CompatContainer#openWithoutIommu}; it is not open
     */
    void openWithoutIommu() {
        container.openWithoutIommu();
    }
}
