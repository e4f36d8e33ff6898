// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.device.DeviceId;

/**
 * Which devices are in use through files of their own, and keep their groups from being opened.
 *
 * <p>Under VFIO's lock. Source: {@code cdev_device_open_cnt} of {@code struct vfio_group}.
 */
final class DeviceFiles {
    private final Set<DeviceId> bound = new HashSet<>();
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

    boolean isBound(DeviceId device) {
        return bound.contains(device);
    }

    void bind(DeviceId device, int group) {
        bound.add(device);
        perGroup.merge(group, 1, Integer::sum);
    }

    void unbind(DeviceId device, int group) {
        bound.remove(device);
        perGroup.computeIfPresent(group, (id, count) -> count == 1 ? null : count - 1);
    }
}
