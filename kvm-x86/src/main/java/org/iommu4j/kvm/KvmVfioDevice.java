// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.vfio.VfioFile;

/**
 * The kvm-vfio device: the VFIO files that a VMM added.
 *
 * <p>KVM asks the files only when one is added or deleted. It does not notice changes in VFIO between two such calls.
 * Thread-safe. Source: {@code virt/kvm/vfio.c}.
 */
public final class KvmVfioDevice implements AutoCloseable {
    private final VirtualMachine machine;
    private final List<VfioFile> files = new ArrayList<>();
    private boolean noncoherent;
    private boolean closed;

    KvmVfioDevice(VirtualMachine machine) {
        this.machine = machine;
    }

    /**
     * Adds a file.
     *
     * @throws IommuException EEXIST when the device already has it; ENODEV when the device is closed
     */
    public synchronized void addFile(VfioFile file) {
        Objects.requireNonNull(file, "file");
        checkOpen();
        if (indexOf(file) >= 0) {
            throw new IommuException(Errno.EEXIST, "the kvm-vfio device already has this file");
        }
        files.add(file);
        updateCoherency();
    }

    /**
     * Deletes a file.
     *
     * @throws IommuException ENOENT when KVM does not know it, until 7.1 the other files are asked again all the same;
     *     ENODEV when the device is closed
     */
    public synchronized void deleteFile(VfioFile file) {
        Objects.requireNonNull(file, "file");
        checkOpen();
        int index = indexOf(file);
        if (index >= 0) {
            files.remove(index);
        }
        if (index >= 0 || machine.rules().recomputesOnFailedDelete()) {
            updateCoherency();
        }
        if (index < 0) {
            throw new IommuException(Errno.ENOENT, "the kvm-vfio device does not have this file");
        }
    }

    /** Returns whether this device has registered non-coherent DMA with the machine. */
    public synchronized boolean noncoherent() {
        return noncoherent;
    }

    /** Deletes all files and lets the machine have another such device. */
    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        files.clear();
        updateCoherency();
        machine.forget(this);
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

    private int indexOf(VfioFile file) {
        for (int i = 0; i < files.size(); i++) {
            if (files.get(i) == file) {
                return i;
            }
        }
        return -1;
    }

    private void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.ENODEV, "the kvm-vfio device is closed");
        }
    }
}
