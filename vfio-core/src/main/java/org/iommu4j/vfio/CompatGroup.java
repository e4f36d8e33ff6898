// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import org.iommu4j.IommuDevice;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.vfio.iommufd.BoundDevice;
import org.iommu4j.vfio.iommufd.CompatContainer;
import org.iommu4j.vfio.iommufd.Iommufd;

/**
 * A group in an iommufd that serves as its container: an open device is bound to it, and attached to its IOAS.
 *
 * <p>Under VFIO's lock. Source: {@code vfio_group_ioctl_set_container}, {@code vfio_df_group_open}.
 */
final class CompatGroup {
    private final CompatContainer container;
    private final IommuGroup group;

    private CompatGroup(Iommufd iommufd, IommuGroup group) {
        this.container = iommufd.vfioContainer();
        this.group = group;
    }

    static CompatGroup enter(Iommufd iommufd, IommuGroup group) {
        CompatGroup entered = new CompatGroup(iommufd, group);
        entered.container.enter();
        return entered;
    }

    void leave() {
        container.leave();
    }

    /**
     * Opens a device.
     *
     * @throws org.iommu4j.IommuException as {@link Iommufd#bind} and {@link BoundDevice#attach}; it is not open
     */
    BoundDevice open(IommuDevice device) {
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
}
