// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.iommu4j.Errno;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuException;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.device.DeviceId;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.vfio.type1.EmulatedGroup;
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
    private final Map<Integer, RegisteredGroup> groups = new TreeMap<>();

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
     * <p>Where no IOMMU translates for it, and the host allows that, it gets a group of its own without one. Source:
     * {@code vfio_register_group_dev}.
     *
     * @throws IommuException EINVAL (no IOMMU translates for it; since 5.19 also: its ordinary DMA is not coherent),
     *     EBUSY (it is registered)
     */
    public VfioDevice register(DeviceId id) {
        Objects.requireNonNull(id, "id");
        IommuDevice device = core.device(id).orElse(null);
        if (device == null) {
            if (!options.enableUnsafeNoIommuMode()) {
                throw new IommuException(Errno.EINVAL, "no IOMMU translates for " + id);
            }
            return registerAlone(id, RegisteredGroup.Kind.NO_IOMMU, null);
        }
        IommuGroup group =
                core.group(id).orElseThrow(() -> new IllegalStateException("device " + id + " is in no group"));
        if (rules.requiresCoherentDma() && !device.iommu().capable(device, IommuCapability.CACHE_COHERENCY)) {
            throw new IommuException(
                    Errno.EINVAL, "DMA of " + id + " is not coherent: its IOMMU lacks CACHE_COHERENCY");
        }
        synchronized (lock) {
            checkNotRegistered(id);
            RegisteredGroup registered = groups.computeIfAbsent(
                    group.id(), number -> new RegisteredGroup(RegisteredGroup.Kind.IOMMU, number, group));
            return add(registered, id, device, null);
        }
    }

    /**
     * Registers an emulated device, such as a mediated one, in a group of its own: its driver, and no hardware, reads
     * and writes the memory of its container.
     *
     * <p>Source: {@code vfio_register_emulated_iommu_dev}.
     *
     * @param id its name
     * @param driver is told of mappings that go; it must unpin their pages
     * @throws IommuException EBUSY (it is registered)
     */
    public VfioDevice registerEmulated(DeviceId id, EmulatedGroup driver) {
        Objects.requireNonNull(id, "id");
        Objects.requireNonNull(driver, "driver");
        return registerAlone(id, RegisteredGroup.Kind.EMULATED, driver);
    }

    private VfioDevice registerAlone(DeviceId id, RegisteredGroup.Kind kind, @Nullable EmulatedGroup driver) {
        synchronized (lock) {
            checkNotRegistered(id);
            int number = core.groups().size();
            while (groups.containsKey(number)) {
                number++;
            }
            RegisteredGroup group = new RegisteredGroup(kind, number, null);
            groups.put(number, group);
            return add(group, id, null, driver);
        }
    }

    private VfioDevice add(
            RegisteredGroup group, DeviceId id, @Nullable IommuDevice device, @Nullable EmulatedGroup driver) {
        VfioPciFunction function = id instanceof PciAddress address
                ? core.topology()
                        .function(address)
                        .map(each -> new VfioPciFunction(each, core.topology()))
                        .orElse(null)
                : null;
        VfioDevice added = new VfioDevice(this, group, id, device, function, driver);
        group.devices.add(added);
        return added;
    }

    private void checkNotRegistered(DeviceId id) {
        for (RegisteredGroup group : groups.values()) {
            if (device(group, id) != null) {
                throw new IommuException(Errno.EBUSY, id + " is already registered");
            }
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
            RegisteredGroup group = groups.get(device.groupId());
            if (group == null || !group.devices.remove(device)) {
                throw new IommuException(Errno.ENODEV, device.id() + " is not registered");
            }
            forgetEmpty(group);
        }
    }

    /** Forgets a group without devices, once it is closed. */
    void forgetEmpty(RegisteredGroup group) {
        if (group.devices.isEmpty() && group.open == null) {
            groups.remove(group.id);
        }
    }

    /**
     * Opens a group by its number. At most one user has a group open.
     *
     * @throws IommuException ENOENT (no device of such a group is registered, or it has no IOMMU and another name),
     *     EBUSY (it is open)
     */
    public VfioGroup openGroup(int id) {
        return open(id, false);
    }

    /**
     * Opens a group without an IOMMU, {@code /dev/vfio/noiommu-N}.
     *
     * @param capSysRawio whether the caller has that capability
     * @throws IommuException ENOENT (no device of such a group is registered), EPERM (the caller lacks the capability),
     *     EBUSY (it is open)
     */
    public VfioGroup openNoIommuGroup(int id, boolean capSysRawio) {
        synchronized (lock) {
            RegisteredGroup group = groups.get(id);
            if (group != null && group.kind == RegisteredGroup.Kind.NO_IOMMU && !capSysRawio) {
                throw new IommuException(Errno.EPERM, "group " + id + " needs CAP_SYS_RAWIO");
            }
            return open(id, true);
        }
    }

    private VfioGroup open(int id, boolean noIommu) {
        synchronized (lock) {
            RegisteredGroup group = groups.get(id);
            if (group == null || group.devices.isEmpty() || (group.kind == RegisteredGroup.Kind.NO_IOMMU) != noIommu) {
                throw new IommuException(Errno.ENOENT, "no device of group " + id + " is registered with VFIO");
            }
            if (group.open != null) {
                throw new IommuException(Errno.EBUSY, "group " + id + " is open");
            }
            deviceFiles.checkGroup(id);
            VfioGroup opened = new VfioGroup(this, group);
            group.open = opened;
            return opened;
        }
    }

    /** Returns the group of a device that is registered, else null; under the lock. */
    @Nullable
    RegisteredGroup groupOf(VfioDevice device) {
        RegisteredGroup group = groups.get(device.groupId());
        return group != null && group.devices.contains(device) ? group : null;
    }

    /** Returns whether a device's group is open; under the lock. */
    boolean isGroupOpen(VfioDevice device) {
        RegisteredGroup group = groups.get(device.groupId());
        return group != null && group.open != null;
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

    static @Nullable VfioDevice device(RegisteredGroup group, DeviceId id) {
        for (VfioDevice device : group.devices) {
            if (device.id().equals(id)) {
                return device;
            }
        }
        return null;
    }
}
