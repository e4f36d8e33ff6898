// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.iommu4j.DecisionSource;
import org.iommu4j.Errno;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.device.DeviceId;
import org.iommu4j.vfio.iommufd.BoundDevice;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.jspecify.annotations.Nullable;

/**
 * An open group, {@code /dev/vfio/N}; it is itself the file that a VMM adds to KVM's device.
 *
 * <p>After {@link #close()} every call but {@link #id()}, {@link #enforcedCoherent()}, {@link #drop()} and {@code
 * close()} is refused with EBADF. Thread-safe. Source: {@code drivers/vfio/group.c}.
 */
public final class VfioGroup implements VfioFile, AutoCloseable {
    private final Vfio vfio;
    private final RegisteredGroup group;
    private volatile @Nullable VfioContainer container;
    /** The iommufd that serves as the container, or null. */
    private @Nullable CompatGroup compat;

    private int openDevices;
    private boolean closed;

    /** How often others have the file. */
    private int references;

    VfioGroup(Vfio vfio, RegisteredGroup group) {
        this.vfio = vfio;
        this.group = group;
    }

    /**
     * Returns whether {@link #enforcedCoherent()} reports the capability of the group's devices and not the state of
     * its container. For callers that ask before a group exists.
     *
     * @throws IllegalArgumentException when no rules are built for the release
     */
    public static boolean asksDevices(LinuxRelease release) {
        return VfioRules.of(release).filesAskDevices();
    }

    /**
     * Returns whether a kernel driver bound to a group's bridge makes the group not viable, as other drivers do, unless
     * it manages DMA itself. Before 5.19 bridges were ignored. For callers that ask before a group exists.
     *
     * <p>Source: {@code iommu_device_use_default_domain}; before, {@code vfio_dev_viable}.
     *
     * @throws IllegalArgumentException when no rules are built for the release
     */
    public static boolean asksBridges(LinuxRelease release) {
        return VfioRules.of(release).claimsGroups();
    }

    /** Returns the group's number. */
    public int id() {
        return group.id;
    }

    /**
     * Returns whether the group may be assigned to a user: no kernel driver that uses DMA is bound to one of its
     * devices.
     *
     * <p>Source: {@code VFIO_GROUP_FLAGS_VIABLE} of {@code VFIO_GROUP_GET_STATUS}.
     */
    public boolean viable() {
        synchronized (vfio.lock) {
            checkOpen();
            return (containerSet() && vfio.rules().claimsGroups()) || isFree();
        }
    }

    /** Returns whether no kernel driver uses a device of the group. */
    private boolean isFree() {
        return group.iommuGroup == null || !group.iommuGroup.inUse();
    }

    /** Returns whether the group is in a container. */
    public boolean containerSet() {
        synchronized (vfio.lock) {
            checkOpen();
            return container != null || compat != null;
        }
    }

    /**
     * Puts the group in a container, and takes its DMA from the kernel.
     *
     * <p>An iommufd serves as a container as well. It takes the group's DMA when a device is opened, and lets the group
     * leave while one is. Since 6.3 an iommufd serves groups without an IOMMU, or all others.
     *
     * @param file the open file that the user names; null where its number is of none
     * @throws IommuException EBADF (no file, or a closed container), EINVAL (the group is in a container), EBADFD (the
     *     file is no container; before 6.2 EINVAL), EINVAL (the container belongs to another host; the iommufd serves
     *     groups of the other kind), EPERM (one of it
     *     and the groups in the container has an IOMMU and the other none; since 5.19: not viable), EBUSY and EINVAL as
     *     {@link IommuGroup#claimDmaOwner}, and where the container already has its IOMMU, as {@link
     *     org.iommu4j.vfio.type1.Type1Iommu#attachGroup}
     */
    public void setContainer(@Nullable Object file) {
        if (file == null) {
            throw new IommuException(Errno.EBADF, "there is no such file");
        }
        synchronized (vfio.lock) {
            checkOpen();
            if (containerSet()) {
                throw new IommuException(Errno.EINVAL, "group " + id() + " is in a container");
            }
            if (file instanceof Iommufd iommufd) {
                compat = CompatGroup.enter(iommufd, group.kind != RegisteredGroup.Kind.NO_IOMMU);
                return;
            }
            if (!(file instanceof VfioContainer target)) {
                throw new IommuException(
                        vfio.rules().knowsFiles() ? Errno.EBADFD : Errno.EINVAL,
                        "a file of " + file.getClass().getSimpleName() + " is no container");
            }
            target.add(this);
            container = target;
        }
    }

    /**
     * Takes the group out of its container, and returns its DMA to the kernel.
     *
     * @throws IommuException EINVAL (it is in no container), EBUSY (one of its devices is open); ETIMEDOUT or EIO (an
     *     invalidation did not complete: the group has left nevertheless)
     */
    public void unsetContainer() {
        synchronized (vfio.lock) {
            checkOpen();
            CompatGroup left = compat;
            if (left != null) {
                compat = null;
                left.leave();
                return;
            }
            if (container == null) {
                throw new IommuException(Errno.EINVAL, "group " + id() + " is in no container");
            }
            if (openDevices != 0) {
                throw new IommuException(Errno.EBUSY, "group " + id() + " has open devices");
            }
            if (references != 0 && vfio.rules().externalUsersNeedIommu()) {
                throw new IommuException(Errno.EBUSY, "KVM has group " + id());
            }
            leave();
        }
    }

    /**
     * Opens a device of the group, once more if it is already open.
     *
     * <p>A PCI function that is opened for the first time decodes its addresses, and is no bus master: its user makes
     * it one.
     *
     * @throws IommuException ENODEV (no such device is registered), EINVAL (the container has no IOMMU yet, or there is
     *     no container; before 5.19 first of all, and also where the group is not viable); in an iommufd as {@link
     *     Iommufd#bind} and {@link BoundDevice#attach}, for an emulated device ENODEV (it has no IOAS for VFIO's
     *     calls), and without an IOMMU EPERM (no CAP_SYS_RAWIO, or it has such an IOAS)
     */
    public VfioDevice openDevice(DeviceId id) {
        Objects.requireNonNull(id, "id");
        synchronized (vfio.lock) {
            checkOpen();
            if (!vfio.rules().claimsGroups()) {
                checkHasIommu();
                if (!isFree()) {
                    throw new IommuException(Errno.EINVAL, "kernel drivers use devices of " + group);
                }
            }
            VfioDevice device = Vfio.device(group, id);
            if (device == null) {
                throw new IommuException(Errno.ENODEV, "no device " + id + " of group " + id() + " is registered");
            }
            CompatGroup current = compat;
            if (current == null) {
                checkHasIommu();
            } else if (device.openCount == 0) {
                switch (group.kind) {
                    case IOMMU ->
                        device.bound = current.open(
                                group.requireIommuGroup(), device.device().orElseThrow());
                    case EMULATED -> device.access = current.openEmulated(device::unmapped);
                    case NO_IOMMU -> current.openWithoutIommu();
                }
            }
            device.opened();
            openDevices++;
            return device;
        }
    }

    private void checkHasIommu() {
        VfioContainer current = container;
        if (current == null || !current.hasIommu()) {
            throw new IommuException(Errno.EINVAL, "group " + id() + " is in no container with an IOMMU");
        }
    }

    /**
     * Closes a device one time.
     *
     * @throws IommuException EINVAL when it is not open
     */
    public void closeDevice(VfioDevice device) {
        Objects.requireNonNull(device, "device");
        synchronized (vfio.lock) {
            checkOpen();
            if (Vfio.device(group, device.id()) != device || device.openCount == 0) {
                throw new IommuException(Errno.EINVAL, device.id() + " is not open in group " + id());
            }
            openDevices--;
            device.closed();
        }
    }

    /**
     * {@inheritDoc}
     *
     * <p>Since 6.2 true when every registered device of the group states that its domains block no-snoop, so also when
     * there is none. The domain that the group is in does not matter. Up to 6.1 it is VFIO_DMA_CC_IOMMU of the group's
     * container: true without a container, whose user has not been allowed anything yet, and false while the container
     * has no IOMMU. Source: {@code vfio_file_enforced_coherent}, {@code vfio_group_enforced_coherent}.
     */
    @Override
    public boolean enforcedCoherent() {
        synchronized (vfio.lock) {
            if (vfio.rules().filesAskDevices()) {
                return group.devices.stream().allMatch(VfioDevice::canEnforceCacheCoherency) && strangersCanEnforce();
            }
            VfioContainer current = container;
            return current == null || current.checkExtension(VfioExtension.DMA_CC_IOMMU) == 1;
        }
    }

    /** Returns whether devices of the group that VFIO does not have are no obstacle. */
    private boolean strangersCanEnforce() {
        IommuGroup all = group.iommuGroup;
        return !vfio.rules().filesAskWholeGroups()
                || all == null
                || all.devices().stream()
                        .allMatch(device -> device.iommu().capable(device, IommuCapability.ENFORCE_CACHE_COHERENCY));
    }

    @Override
    public List<DecisionSource> coherencySources() {
        synchronized (vfio.lock) {
            List<DecisionSource> sources = new ArrayList<>(List.of(vfio.rules().fileSource(true)));
            VfioContainer current = container;
            if (vfio.rules().filesAskDevices()) {
                group.devices.stream()
                        .flatMap(VfioDevice::capabilitySource)
                        .distinct()
                        .forEach(sources::add);
            } else if (current != null) {
                sources.add(current.coherencySource());
            }
            return sources;
        }
    }

    @Override
    public void checkExternalUser() {
        synchronized (vfio.lock) {
            if (!vfio.rules().externalUsersNeedIommu()) {
                return;
            }
            if (container != null && group.kind == RegisteredGroup.Kind.NO_IOMMU) {
                throw new IommuException(Errno.EPERM, "group " + id() + " has no IOMMU");
            }
            checkHasIommu();
            if (!isFree()) {
                throw new IommuException(Errno.EINVAL, "group " + id() + " is not viable");
            }
        }
    }

    @Override
    public void hold() {
        synchronized (vfio.lock) {
            checkOpen();
            references++;
        }
    }

    @Override
    public void drop() {
        synchronized (vfio.lock) {
            references--;
            end();
        }
    }

    /**
     * Closes the group, which leaves its container. While KVM has it, it stays there and nobody can open it again.
     *
     * @throws IommuException EBUSY while one of its devices is open; ETIMEDOUT or EIO as {@link #unsetContainer}, and
     *     the group is closed
     */
    @Override
    public void close() {
        synchronized (vfio.lock) {
            if (closed) {
                return;
            }
            if (openDevices != 0) {
                throw new IommuException(Errno.EBUSY, "group " + id() + " has open devices");
            }
            closed = true;
            end();
        }
    }

    /** Ends the file if it is closed and nobody has it. */
    private void end() {
        if (!closed || references != 0) {
            return;
        }
        group.open = null;
        vfio.forgetEmpty(group);
        CompatGroup left = compat;
        compat = null;
        if (left != null) {
            left.leave();
        }
        if (container != null) {
            leave();
        }
    }

    Vfio vfio() {
        return vfio;
    }

    RegisteredGroup group() {
        return group;
    }

    @Nullable
    VfioContainer container() {
        return container;
    }

    @Override
    public String toString() {
        return "VFIO " + group;
    }

    private void leave() {
        VfioContainer left = container;
        container = null;
        if (left != null) {
            left.remove(this);
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.EBADF, "group " + id() + " is closed");
        }
    }
}
