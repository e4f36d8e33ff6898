// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.Objects;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.pci.PciAddress;
import org.jspecify.annotations.Nullable;

/**
 * An open group, {@code /dev/vfio/N}: itself the file that KVM is told about.
 *
 * <p>After {@link #close()} every call but {@link #id()}, {@link #enforcedCoherent()} and {@code close()} is refused
 * with EBADF. Thread-safe. Source: {@code drivers/vfio/group.c}.
 */
public final class VfioGroup implements VfioFile, AutoCloseable {
    private final Vfio vfio;
    private final IommuGroup group;
    private @Nullable VfioContainer container;
    private int openDevices;
    private boolean closed;

    VfioGroup(Vfio vfio, IommuGroup group) {
        this.vfio = vfio;
        this.group = group;
    }

    /**
     * Returns whether {@link #enforcedCoherent()} is what the group's devices are capable of, and not what its
     * container is, for whoever asks before there is a group.
     *
     * @throws IllegalArgumentException when no rules are built for the release
     */
    public static boolean asksDevices(LinuxRelease release) {
        return VfioRules.of(release).filesAskDevices();
    }

    /**
     * Returns whether a kernel driver that is bound to a bridge of a group stands against it as any other does, unless
     * it leaves DMA alone; before 5.19 bridges were passed over. For whoever asks before there is a group.
     *
     * <p>Source: {@code iommu_device_use_default_domain}; before, {@code vfio_dev_viable}.
     *
     * @throws IllegalArgumentException when no rules are built for the release
     */
    public static boolean asksBridges(LinuxRelease release) {
        return VfioRules.of(release).asksBridges();
    }

    /** Returns the number. */
    public int id() {
        return group.id();
    }

    /**
     * Returns whether it may be given to a user: no kernel driver that does DMA is bound to a device of it.
     *
     * <p>Source: {@code VFIO_GROUP_FLAGS_VIABLE} of {@code VFIO_GROUP_GET_STATUS}.
     */
    public boolean viable() {
        synchronized (vfio.lock) {
            checkOpen();
            return container != null || !group.inUse();
        }
    }

    /** Returns whether it is in a container. */
    public boolean containerSet() {
        synchronized (vfio.lock) {
            checkOpen();
            return container != null;
        }
    }

    /**
     * Puts the group in a container, and takes its DMA from the kernel.
     *
     * @throws IommuException EINVAL (it is in one, or the container is another host's), EPERM (not viable), EBADF (the
     *     container is closed), EBUSY and EINVAL as {@link IommuGroup#claimDmaOwner}, and where the container has its
     *     IOMMU already, as {@link org.iommu4j.vfio.type1.Type1Iommu#attachGroup}
     */
    public void setContainer(VfioContainer target) {
        Objects.requireNonNull(target, "target");
        synchronized (vfio.lock) {
            checkOpen();
            if (container != null) {
                throw new IommuException(Errno.EINVAL, "group " + id() + " is in a container");
            }
            target.add(this);
            container = target;
        }
    }

    /**
     * Takes the group out of its container, and gives its DMA back to the kernel.
     *
     * @throws IommuException EINVAL (it is in none), EBUSY (a device of it is open); ETIMEDOUT or EIO (an invalidation
     *     did not complete: the group is out all the same)
     */
    public void unsetContainer() {
        synchronized (vfio.lock) {
            checkOpen();
            if (container == null) {
                throw new IommuException(Errno.EINVAL, "group " + id() + " is in no container");
            }
            if (openDevices != 0) {
                throw new IommuException(Errno.EBUSY, "group " + id() + " has open devices");
            }
            leave();
        }
    }

    /**
     * Opens a device of the group; again, if it is open already.
     *
     * @throws IommuException ENODEV (no such device is registered), EINVAL (the container has no IOMMU yet, or there is
     *     no container)
     */
    public VfioDevice openDevice(PciAddress address) {
        Objects.requireNonNull(address, "address");
        synchronized (vfio.lock) {
            checkOpen();
            VfioDevice device = vfio.device(group, address);
            if (device == null) {
                throw new IommuException(Errno.ENODEV, "no device " + address + " of group " + id() + " is registered");
            }
            if (container == null || !container.hasIommu()) {
                throw new IommuException(Errno.EINVAL, "group " + id() + " is in no container with an IOMMU");
            }
            device.openCount++;
            openDevices++;
            return device;
        }
    }

    /**
     * Closes a device once.
     *
     * @throws IommuException EINVAL when it is not open
     */
    public void closeDevice(VfioDevice device) {
        Objects.requireNonNull(device, "device");
        synchronized (vfio.lock) {
            checkOpen();
            if (vfio.device(group, device.address()) != device || device.openCount == 0) {
                throw new IommuException(Errno.EINVAL, device.address() + " is not open in group " + id());
            }
            device.openCount--;
            openDevices--;
        }
    }

    /**
     * {@inheritDoc}
     *
     * <p>Since 6.2 true when every registered device of the group claims that its domains block no-snoop, so also when
     * there is none. What domain the group is really in does not matter. Up to 6.1 it is VFIO_DMA_CC_IOMMU of the
     * group's container: true without a container, false while the container has no IOMMU.
     */
    @Override
    public boolean enforcedCoherent() {
        synchronized (vfio.lock) {
            return vfio.rules().enforcedCoherent(container, vfio.devices(group));
        }
    }

    /**
     * Closes the group; it leaves its container.
     *
     * @throws IommuException EBUSY while a device of it is open; ETIMEDOUT or EIO as {@link #unsetContainer}, and the
     *     group is closed
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
            vfio.closed(this);
            if (container != null) {
                leave();
            }
        }
    }

    Vfio vfio() {
        return vfio;
    }

    IommuGroup group() {
        return group;
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
