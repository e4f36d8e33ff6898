// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.iommu4j.Errno;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuException;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.device.DeviceId;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.jspecify.annotations.Nullable;

/**
 * VFIO of one host: the devices bound to it, and the files that user space opens.
 *
 * <p>Thread-safe. One lock guards devices, groups and their membership in containers; mapping and unmapping take only
 * the lock of their container. Source: {@code drivers/vfio/vfio_main.c}, {@code group.c}.
 */
public final class Vfio {
    /** Guards the state of this object, of its groups, and the list of groups in containers. */
    final Object lock = new Object();

    /** Which devices are in use through files of their own; under the lock. */
    final DeviceFiles deviceFiles = new DeviceFiles();

    private final IommuCore core;
    private final VfioOptions options;
    private final VfioRules rules;
    private final Map<IommuGroup, List<VfioDevice>> registered = new HashMap<>();
    private final Map<IommuGroup, VfioGroup> open = new HashMap<>();

    /**
     * Makes VFIO for the groups that core found.
     *
     * @throws IllegalArgumentException when no rules are built for the release
     */
    public Vfio(IommuCore core, VfioOptions options) {
        Objects.requireNonNull(core, "core");
        Objects.requireNonNull(options, "options");
        this.core = core;
        this.options = options;
        this.rules = VfioRules.of(options.release());
    }

    /** Returns what VFIO does differently from release to release. */
    public static List<ReleaseRule<?>> releaseRules() {
        return VfioRules.RULES;
    }

    /**
     * Registers a device: a function is bound to vfio-pci, a named device to vfio-platform.
     *
     * <p>Source: {@code vfio_register_group_dev}.
     *
     * @throws IommuException EINVAL (no IOMMU translates for it; since 5.19 also: its ordinary DMA is not coherent),
     *     EBUSY (it is registered)
     */
    public VfioDevice register(DeviceId id) {
        Objects.requireNonNull(id, "id");
        IommuDevice device =
                core.device(id).orElseThrow(() -> new IommuException(Errno.EINVAL, "no IOMMU translates for " + id));
        IommuGroup group =
                core.group(id).orElseThrow(() -> new IllegalStateException("device " + id + " is in no group"));
        if (rules.requiresCoherentDma() && !device.iommu().capable(device, IommuCapability.CACHE_COHERENCY)) {
            throw new IommuException(
                    Errno.EINVAL, "DMA of " + id + " is not coherent: its IOMMU lacks CACHE_COHERENCY");
        }
        synchronized (lock) {
            List<VfioDevice> devices = registered.computeIfAbsent(group, unused -> new ArrayList<>());
            for (VfioDevice other : devices) {
                if (other.device() == device) {
                    throw new IommuException(Errno.EBUSY, id + " is already registered");
                }
            }
            VfioDevice added = new VfioDevice(device, group.id());
            devices.add(added);
            return added;
        }
    }

    /**
     * Unregisters a device: it leaves vfio-pci or vfio-platform.
     *
     * @throws IommuException EBUSY (it is open; Linux waits), ENODEV (it is not registered)
     */
    public void unregister(VfioDevice device) {
        synchronized (lock) {
            if (device.openCount != 0) {
                throw new IommuException(Errno.EBUSY, device.id() + " is open");
            }
            IommuGroup group = core.group(device.id()).orElse(null);
            List<VfioDevice> devices = group == null ? null : registered.get(group);
            if (devices == null || !devices.remove(device)) {
                throw new IommuException(Errno.ENODEV, device.id() + " is not registered");
            }
            if (devices.isEmpty()) {
                registered.remove(group);
            }
        }
    }

    /**
     * Opens a group by its number. At most one user has a group open.
     *
     * @throws IommuException ENOENT (no device of such a group is registered), EBUSY (it is open)
     */
    public VfioGroup openGroup(int id) {
        synchronized (lock) {
            for (IommuGroup group : registered.keySet()) {
                if (group.id() == id) {
                    if (open.containsKey(group)) {
                        throw new IommuException(Errno.EBUSY, "group " + id + " is open");
                    }
                    deviceFiles.checkGroup(id);
                    VfioGroup opened = new VfioGroup(this, group);
                    open.put(group, opened);
                    return opened;
                }
            }
        }
        throw new IommuException(Errno.ENOENT, "no device of group " + id + " is registered with VFIO");
    }

    /**
     * Opens a device's own file, as often as users like.
     *
     * @throws IommuException ENOENT (the release has no such files, or the device is not registered)
     */
    public VfioDeviceFile openDeviceFile(VfioDevice device) {
        Objects.requireNonNull(device, "device");
        synchronized (lock) {
            IommuGroup group = core.group(device.id()).orElse(null);
            if (!Iommufd.hasDeviceFiles(options.release())
                    || group == null
                    || !devices(group).contains(device)) {
                throw new IommuException(Errno.ENOENT, device + " has no file");
            }
            return new VfioDeviceFile(this, device, group, device.device());
        }
    }

    /** Returns whether a device's group is open; under the lock. */
    boolean isGroupOpen(VfioDevice device) {
        for (IommuGroup group : open.keySet()) {
            if (group.id() == device.groupId()) {
                return true;
            }
        }
        return false;
    }

    /**
     * Opens a container.
     *
     * @param process the process whose memory it will map
     */
    public VfioContainer openContainer(ProcessMemory process) {
        Objects.requireNonNull(process, "process");
        return new VfioContainer(this, process);
    }

    VfioOptions options() {
        return options;
    }

    VfioRules rules() {
        return rules;
    }

    void closed(VfioGroup group) {
        open.remove(group.group(), group);
    }

    List<VfioDevice> devices(IommuGroup group) {
        return registered.getOrDefault(group, List.of());
    }

    @Nullable
    VfioDevice device(IommuGroup group, DeviceId id) {
        for (VfioDevice device : devices(group)) {
            if (device.id().equals(id)) {
                return device;
            }
        }
        return null;
    }
}
