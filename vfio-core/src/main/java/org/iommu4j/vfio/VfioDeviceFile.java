// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.List;
import java.util.Objects;
import org.iommu4j.DecisionSource;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.vfio.iommufd.BoundDevice;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdAccess;
import org.iommu4j.vfio.support.Failures;
import org.jspecify.annotations.Nullable;

/**
 * An open device file, {@code /dev/vfio/devices/vfioN}; it is itself a file that a VMM adds to KVM's device.
 *
 * <p>Until it is bound to an iommufd nothing else can be done with it. Thread-safe. Source: {@code
 * drivers/vfio/device_cdev.c}, {@code iommufd.c}.
 */
public final class VfioDeviceFile implements VfioFile, AutoCloseable {
    /** The user names a token of the physical function. Source: {@code VFIO_DEVICE_BIND_FLAG_TOKEN}. */
    public static final int BIND_TOKEN = 1;

    private final Vfio vfio;
    private final VfioDevice device;

    /** Null for a device without an IOMMU, and for an emulated one. */
    private final @Nullable IommuGroup group;

    private final boolean emulated;
    private @Nullable FileBinding bound;
    private boolean closed;

    /** How often others have the file. */
    private int references;

    private VfioDeviceFile(Vfio vfio, VfioDevice device, RegisteredGroup group) {
        this.vfio = vfio;
        this.device = device;
        this.group = group.iommuGroup;
        this.emulated = group.kind == RegisteredGroup.Kind.EMULATED;
    }

    /**
     * Opens a device's own file, as often as users like.
     *
     * @throws IommuException ENOENT (the release has no such files, the device is not registered, or has no IOMMU)
     */
    public static VfioDeviceFile open(Vfio vfio, VfioDevice device) {
        return open(vfio, device, false);
    }

    /**
     * Opens the own file of a device without an IOMMU, {@code /dev/vfio/devices/noiommu-vfioN}.
     *
     * @param capSysRawio whether the caller has that capability
     * @throws IommuException ENOENT (before 7.3, or the device is not registered, or has an IOMMU), EPERM (the caller
     *     lacks the capability)
     */
    public static VfioDeviceFile openWithoutIommu(Vfio vfio, VfioDevice device, boolean capSysRawio) {
        VfioDeviceFile file = open(vfio, device, true);
        if (!Iommufd.hasDevicesWithoutIommu(vfio.options().release())) {
            throw new IommuException(Errno.ENOENT, device + " has no file");
        }
        if (!capSysRawio) {
            throw new IommuException(Errno.EPERM, device + " needs CAP_SYS_RAWIO");
        }
        return file;
    }

    private static VfioDeviceFile open(Vfio vfio, VfioDevice device, boolean noIommu) {
        Objects.requireNonNull(device, "device");
        synchronized (vfio.lock) {
            RegisteredGroup group = vfio.groupOf(device);
            if (!Iommufd.hasDeviceFiles(vfio.options().release())
                    || group == null
                    || (group.kind == RegisteredGroup.Kind.NO_IOMMU) != noIommu) {
                throw new IommuException(Errno.ENOENT, device + " has no file");
            }
            return new VfioDeviceFile(vfio, device, group);
        }
    }

    /** Returns the device. */
    public VfioDevice device() {
        return device;
    }

    /** Binds it without flags: {@link #bind(Object, int, Object)}. */
    public int bind(@Nullable Object file) {
        return bind(file, 0, null);
    }

    /**
     * VFIO_DEVICE_BIND_IOMMUFD: binds the device to an iommufd, and takes its DMA from the kernel.
     *
     * @param file the open file that the user names; null where its number is negative
     * @param flags 0 or {@link #BIND_TOKEN}
     * @param token with {@link #BIND_TOKEN} the token; null where its address is bad
     * @return the device's object in the iommufd
     * @throws IommuException EINVAL (an unknown flag, no file), EBUSY (its group is open), EINVAL (this file is bound),
     *     EFAULT (a token is missing), EINVAL (the device has no such token, an emulated one none), EBADFD (the file is
     *     no iommufd), EINVAL (another file of the device is bound), and as {@link Iommufd#bind}
     */
    public int bind(@Nullable Object file, int flags, @Nullable Object token) {
        synchronized (vfio.lock) {
            checkOpen();
            if ((flags & ~(Iommufd.bindsByToken(vfio.options().release()) ? BIND_TOKEN : 0)) != 0 || file == null) {
                throw new IommuException(Errno.EINVAL, "flags 0x" + Integer.toHexString(flags) + ", file " + file);
            }
            if (vfio.isGroupOpen(device)) {
                throw new IommuException(Errno.EBUSY, "group " + device.groupId() + " is open");
            }
            if (bound != null) {
                throw new IommuException(Errno.EINVAL, device + " is bound already");
            }
            if ((flags & BIND_TOKEN) != 0) {
                throw token == null && !emulated
                        ? new IommuException(Errno.EFAULT, "no token to read")
                        : new IommuException(Errno.EINVAL, device + " has no token");
            }
            if (!(file instanceof Iommufd iommufd)) {
                throw new IommuException(
                        Errno.EBADFD, "a file of " + file.getClass().getSimpleName() + " is no iommufd");
            }
            if (vfio.deviceFiles.isBound(device.id())) {
                throw new IommuException(Errno.EINVAL, device + " is bound by another file");
            }
            FileBinding made = bindTo(iommufd);
            bound = made;
            device.opened();
            vfio.deviceFiles.bind(device.id(), device.groupId());
            return made.id();
        }
    }

    private FileBinding bindTo(Iommufd iommufd) {
        if (emulated) {
            return FileBinding.OfEmulated.bind(iommufd, device);
        }
        return new FileBinding.OfDevice(
                group == null
                        ? iommufd.bindWithoutIommu(device.id())
                        : iommufd.bind(group, device.device().orElseThrow()));
    }

    /**
     * VFIO_DEVICE_ATTACH_IOMMUFD_PT: attaches the device, or moves it to another page table.
     *
     * @param pageTableId an IOAS or a HWPT; of an emulated device an IOAS
     * @return the HWPT; of an emulated device the IOAS
     * @throws IommuException EINVAL (not bound), and as {@link BoundDevice#attach}; of an emulated device as {@link
     *     IommufdAccess#attach} and {@link IommufdAccess#replace}
     */
    public int attach(int pageTableId) {
        synchronized (vfio.lock) {
            return requireBound().attach(pageTableId);
        }
    }

    /**
     * VFIO_DEVICE_ATTACH_IOMMUFD_PT with a PASID.
     *
     * <p>PASID 0 attaches the ordinary requests, but {@link #attach} and {@link #detach()} know nothing of it.
     *
     * @throws IommuException EINVAL (the release knows no such flag, or not bound), EOPNOTSUPP (the device is
     *     emulated), ENOSPC (from 2^31), and as {@link BoundDevice#attachPasid}
     */
    public int attachPasid(int pasid, int pageTableId) {
        synchronized (vfio.lock) {
            checkOpen();
            if (!Iommufd.attachesPasids(vfio.options().release())) {
                throw new IommuException(Errno.EINVAL, "the flag for a PASID is unknown");
            }
            return requireBound().attachPasid(pasid, pageTableId);
        }
    }

    /**
     * VFIO_DEVICE_DETACH_IOMMUFD_PT: detaches the device, which is blocked from then on; does nothing when it is not
     * attached.
     *
     * @throws IommuException EINVAL (not bound), and as {@link BoundDevice#detach}
     */
    public void detach() {
        synchronized (vfio.lock) {
            requireBound().detach();
        }
    }

    /** VFIO_DEVICE_DETACH_IOMMUFD_PT with a PASID, as {@link #detach()}. */
    public void detachPasid(int pasid) {
        synchronized (vfio.lock) {
            requireBound().detachPasid(pasid);
        }
    }

    /**
     * VFIO_DEVICE_GET_INFO: returns what the device has. Its other calls are those of {@link #device()}, while it is
     * bound.
     *
     * @throws IommuException EINVAL (not bound)
     */
    public VfioDeviceInfo info() {
        synchronized (vfio.lock) {
            requireBound();
            return device.info();
        }
    }

    /**
     * VFIO_DEVICE_GET_REGION_INFO, as {@link VfioDevice#regionInfo(int)}.
     *
     * @throws IommuException EINVAL (not bound), and as there
     */
    public VfioRegionInfo regionInfo(int index) {
        synchronized (vfio.lock) {
            requireBound();
            return device.regionInfo(index);
        }
    }

    /**
     * VFIO_DEVICE_GET_IRQ_INFO, as {@link VfioDevice#interruptInfo(int)}.
     *
     * @throws IommuException EINVAL (not bound), and as there
     */
    public VfioInterruptInfo interruptInfo(int index) {
        synchronized (vfio.lock) {
            requireBound();
            return device.interruptInfo(index);
        }
    }

    /** Returns false. */
    @Override
    public boolean isGroup() {
        return false;
    }

    /**
     * {@inheritDoc}
     *
     * <p>It is the prediction for the device, bound or not, whatever the page table that it is attached to does.
     */
    @Override
    public boolean enforcedCoherent() {
        return device.canEnforceCacheCoherency();
    }

    @Override
    public List<DecisionSource> coherencySources() {
        return device.coherencySources();
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
     * Closes the file: the device is detached and unbound, once KVM has not got it any more.
     *
     * @throws IommuException as {@link BoundDevice#unbind} and {@link org.iommu4j.vfio.iommufd.DmaBuf#revoke}; the file
     *     is closed nevertheless
     */
    @Override
    public void close() {
        synchronized (vfio.lock) {
            if (!closed) {
                closed = true;
                end();
            }
        }
    }

    /** Ends the file if it is closed and nobody has it. */
    private void end() {
        FileBinding leaving = bound;
        if (closed && references == 0 && leaving != null) {
            bound = null;
            vfio.deviceFiles.unbind(device.id(), device.groupId());
            RuntimeException failure = Failures.run(null, device::closed);
            failure = Failures.run(failure, leaving::unbind);
            if (failure != null) {
                throw failure;
            }
        }
    }

    private FileBinding requireBound() {
        checkOpen();
        FileBinding current = bound;
        if (current == null) {
            throw new IommuException(Errno.EINVAL, device + " is not bound to an iommufd");
        }
        return current;
    }

    private void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.EBADF, "the file of " + device + " is closed");
        }
    }
}
