// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.HashMap;
import java.util.Map;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;

/**
 * Which devices are in use through files of their own, and keep their groups from being opened.
 *
 * <p>Under VFIO's lock. Source: {@code cdev_device_open_cnt} of {@code struct vfio_group}.
 */
final class DeviceFiles {
    private final Map<VfioDevice, VfioDeviceFile> bound = new HashMap<>();
    private final Map<Integer, Integer> perGroup = new HashMap<>();

    /**
     * Refuses to open a group while a device of it is bound to an iommufd.
     *
     * @throws IommuException EBUSY
     */
    void checkGroup(int id) {
        if (perGroup.containsKey(id)) {
            throw new IommuException(Errno.EBUSY, "a device of group " + id + " is bound to an iommufd");
        }
    }

    boolean isBound(VfioDevice device) {
        return bound.containsKey(device);
    }

    void bind(VfioDevice device, VfioDeviceFile file) {
        bound.put(device, file);
        perGroup.merge(device.groupId(), 1, Integer::sum);
    }

    void unbind(VfioDevice device) {
        bound.remove(device);
        perGroup.computeIfPresent(device.groupId(), (id, count) -> count == 1 ? null : count - 1);
    }
}
