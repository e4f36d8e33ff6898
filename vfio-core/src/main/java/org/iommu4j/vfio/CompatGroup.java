// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import org.iommu4j.IommuDevice;
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
    private final RegisteredGroup group;

    private CompatGroup(Iommufd iommufd, RegisteredGroup group) {
        this.container = iommufd.vfioContainer();
        this.group = group;
    }

    /**
     * Puts a group in.
     *
     * @throws org.iommu4j.IommuException as {@link CompatContainer#enter} or {@link CompatContainer#enterWithoutIommu}
     */
    static CompatGroup enter(Iommufd iommufd, RegisteredGroup group) {
        CompatGroup entered = new CompatGroup(iommufd, group);
        if (group.kind == RegisteredGroup.Kind.NO_IOMMU) {
            entered.container.enterWithoutIommu();
        } else {
            entered.container.enter();
        }
        return entered;
    }

    void leave() {
        container.leave();
    }

    /**
     * Opens a device of the group.
     *
     * @throws org.iommu4j.IommuException as {@link Iommufd#bind} and {@link BoundDevice#attach}, {@link
     *     CompatContainer#openEmulated} or {@link CompatContainer#openWithoutIommu}; it is not open
     */
    void open(VfioDevice device) {
        switch (group.kind) {
            case IOMMU -> device.bound = bind(device.device().orElseThrow());
            case EMULATED -> device.access = container.openEmulated(device::unmapped);
            case NO_IOMMU -> container.openWithoutIommu();
        }
    }

    private BoundDevice bind(IommuDevice device) {
        BoundDevice bound = container.bind(group.requireIommuGroup(), device);
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
