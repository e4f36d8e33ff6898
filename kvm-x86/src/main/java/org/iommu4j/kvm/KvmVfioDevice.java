// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.DecisionSource;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.vfio.VfioFile;
import org.jspecify.annotations.Nullable;

/**
 * The kvm-vfio device: the VFIO files that a VMM added.
 *
 * <p>KVM asks the files only when one is added or deleted. It does not notice changes in VFIO between two such calls. A
 * file that its user closes lives on while KVM has it. Thread-safe. Source: {@code virt/kvm/vfio.c}.
 */
public final class KvmVfioDevice implements AutoCloseable {
    /** The only group of attributes. Source: {@code KVM_DEV_VFIO_FILE}, which was {@code KVM_DEV_VFIO_GROUP}. */
    public static final int FILES = 1;

    /** The attribute that adds a file. Source: {@code KVM_DEV_VFIO_FILE_ADD}. */
    public static final long ADD = 1;

    /** The attribute that deletes a file. Source: {@code KVM_DEV_VFIO_FILE_DEL}. */
    public static final long DELETE = 2;

    /**
     * The number of a file in the memory of a caller.
     *
     * @param file the open file that it names; null where it names none
     */
    public record FileNumber(@Nullable Object file) {}

    private final VirtualMachine machine;
    private final List<VfioFile> files = new ArrayList<>();
    private boolean noncoherent;
    private boolean closed;
    private boolean ended;

    KvmVfioDevice(VirtualMachine machine) {
        this.machine = machine;
    }

    /**
     * KVM_HAS_DEVICE_ATTR: does nothing when there is such an attribute.
     *
     * @param group a group of attributes
     * @param attribute an attribute of the group
     * @throws IommuException ENXIO (there is none); EBADF (the device is closed)
     */
    public synchronized void requireAttribute(int group, long attribute) {
        checkOpen();
        if (group != FILES || (attribute != ADD && attribute != DELETE)) {
            throw new IommuException(Errno.ENXIO, "no attribute " + attribute + " of group " + group);
        }
    }

    /**
     * KVM_GET_DEVICE_ATTR: refuses, since no attribute can be read.
     *
     * @param group a group of attributes
     * @param attribute an attribute of the group
     * @throws IommuException EPERM always; EBADF (the device is closed)
     */
    public synchronized void readAttribute(int group, long attribute) {
        checkOpen();
        throw new IommuException(Errno.EPERM, "attribute " + attribute + " of group " + group + " can't be read");
    }

    /**
     * KVM_SET_DEVICE_ATTR: {@link #addFile} or {@link #deleteFile}.
     *
     * @param group a group of attributes
     * @param attribute an attribute of the group
     * @param argument what is at the caller's address; null where the caller has no memory there
     * @throws IommuException ENXIO (there is no such attribute), EFAULT (no memory), and as the two calls
     */
    public synchronized void setAttribute(int group, long attribute, @Nullable FileNumber argument) {
        requireAttribute(group, attribute);
        if (argument == null) {
            throw new IommuException(Errno.EFAULT, "no memory that has a file's number");
        }
        if (attribute == ADD) {
            addFile(argument.file());
        } else {
            deleteFile(argument.file());
        }
    }

    /**
     * Adds a file, and keeps it from ending.
     *
     * @param file the open file that the VMM names; null where its number is of none
     * @throws IommuException EBADF (no file, or its user closed it; or the device is closed), EINVAL (it is none of
     *     VFIO, or before 6.6 a device's), EEXIST (the device already has it); before 5.19 as {@link
     *     VfioFile#checkExternalUser}
     */
    public synchronized void addFile(@Nullable Object file) {
        checkOpen();
        if (!(required(file) instanceof VfioFile added) || !isValid(added)) {
            throw new IommuException(Errno.EINVAL, "a file of " + nameOf(file) + " is none of VFIO");
        }
        added.hold();
        try {
            added.checkExternalUser();
            if (indexOf(added) >= 0) {
                throw new IommuException(Errno.EEXIST, "the kvm-vfio device already has this file");
            }
        } catch (IommuException e) {
            added.drop();
            throw e;
        }
        files.add(added);
        updateCoherency();
    }

    /**
     * Deletes a file.
     *
     * @param file the open file that the VMM names; null where its number is of none
     * @throws IommuException EBADF (no file, or its user closed it; or the device is closed), ENOENT (the device does
     *     not have it; until 7.1 the other files are asked again all the same)
     */
    public synchronized void deleteFile(@Nullable Object file) {
        checkOpen();
        int index = indexOf(required(file));
        if (index < 0) {
            if (machine.rules().recomputesOnFailedDelete()) {
                updateCoherency();
            }
            throw new IommuException(Errno.ENOENT, "the kvm-vfio device does not have this file");
        }
        VfioFile deleted = files.get(index);
        deleted.hold(); // as the look-up of its number does, which a closed file has not
        files.remove(index);
        updateCoherency();
        deleted.drop();
        deleted.drop();
    }

    /** Returns where Linux decides whether non-coherent DMA is registered; every release decides alike. */
    public DecisionSource coherencySource() {
        return DecisionSource.of(KvmRules.MODULE, "kvm_vfio_update_coherency");
    }

    /** Returns whether this device has registered non-coherent DMA with the machine. */
    public synchronized boolean noncoherent() {
        return noncoherent;
    }

    /**
     * Closes the device: all files are deleted, and the machine may have another such device.
     *
     * <p>Before 6.2, and 6.1.9, that happens when the machine is closed as well: until then the files stay, nobody can
     * reach them, and the machine may have no other such device. Source: {@code kvm_vfio_release}; before, {@code
     * kvm_vfio_destroy}.
     *
     * @throws IommuException as the close of a file that ends with it; the device is closed nevertheless
     */
    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        if (machine.rules().devicesEndWithTheirFiles() || machine.isClosed()) {
            end();
        }
    }

    /** The machine is closed: a device that was closed before ends. */
    synchronized void machineClosed() {
        if (closed && !ended) {
            end();
        }
    }

    private void end() {
        ended = true;
        List<VfioFile> held = List.copyOf(files);
        files.clear();
        updateCoherency();
        machine.forget(this);
        IommuException failure = null;
        for (VfioFile file : held) {
            try {
                file.drop();
            } catch (IommuException e) {
                if (failure == null) {
                    failure = e;
                } else {
                    failure.addSuppressed(e);
                }
            }
        }
        if (failure != null) {
            throw failure;
        }
    }

    /** One file that does not vouch for coherency makes the machine non-coherent; only a change is counted. */
    private void updateCoherency() {
        boolean found = false;
        for (VfioFile file : files) {
            if (!file.enforcedCoherent()) {
                found = true;
                break;
            }
        }
        if (found != noncoherent) {
            noncoherent = found;
            if (found) {
                machine.registerNoncoherentDma();
            } else {
                machine.unregisterNoncoherentDma();
            }
        }
    }

    private boolean isValid(VfioFile file) {
        return machine.rules().takesDeviceFiles() || file.isGroup();
    }

    private int indexOf(Object file) {
        for (int i = 0; i < files.size(); i++) {
            if (files.get(i) == file) {
                return i;
            }
        }
        return -1;
    }

    private static Object required(@Nullable Object file) {
        if (file == null) {
            throw new IommuException(Errno.EBADF, "there is no such file");
        }
        return file;
    }

    private static String nameOf(@Nullable Object file) {
        return file == null ? "none" : file.getClass().getSimpleName();
    }

    private void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.EBADF, "the kvm-vfio device is closed");
        }
    }
}
