// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.vfio.type1.EmulatedGroup;
import org.jspecify.annotations.Nullable;

/**
 * A group of which devices are registered, open or not. Under VFIO's lock. Source: {@code struct vfio_group} and {@code
 * enum vfio_group_type}.
 */
final class RegisteredGroup implements EmulatedGroup {
    /** What keeps the devices of a group from other memory. */
    enum Kind {
        /** An IOMMU. */
        IOMMU,
        /** Their driver: they do no DMA of their own. */
        EMULATED,
        /** Nothing. */
        NO_IOMMU
    }

    final Kind kind;
    final int id;

    /** The group of the IOMMU's devices; null of any other kind. */
    final @Nullable IommuGroup iommuGroup;

    final List<VfioDevice> devices = new CopyOnWriteArrayList<>();

    /** The file that is open, if one is; written under VFIO's lock. */
    volatile @Nullable VfioGroup open;

    RegisteredGroup(Kind kind, int id, @Nullable IommuGroup iommuGroup) {
        this.kind = kind;
        this.id = id;
        this.iommuGroup = iommuGroup;
    }

    /** Returns the group of the IOMMU's devices, of a group of that kind. */
    IommuGroup requireIommuGroup() {
        IommuGroup group = iommuGroup;
        if (group == null) {
            throw new IllegalStateException("group " + id + " is " + kind + " and has no IOMMU");
        }
        return group;
    }

    @Override
    public void unmapped(long iova, long size) {
        for (VfioDevice device : devices) {
            device.unmapped(iova, size);
        }
    }

    @Override
    public String toString() {
        return iommuGroup == null ? "group " + id + " " + devices : iommuGroup.toString();
    }
}
