// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import java.util.Arrays;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.ProcessMemory;

/**
 * Where guest physical memory is in the VMM's address space.
 *
 * <p>Readers see one immutable array, so that a guest's access takes no lock. Source: {@code struct kvm_memslots}.
 */
final class MemorySlots {
    private static final long PAGE_MASK = 0xfff;

    private record Slot(int id, long guestAddress, long size, long virtualAddress) {
        boolean contains(long address) {
            return Long.compareUnsigned(address - guestAddress, size) < 0;
        }

        boolean overlaps(long otherAddress, long otherSize) {
            return contains(otherAddress) || Long.compareUnsigned(guestAddress - otherAddress, otherSize) < 0;
        }
    }

    private final ProcessMemory process;
    private volatile Slot[] slots = {};

    MemorySlots(ProcessMemory process) {
        this.process = process;
    }

    synchronized void add(int id, long guestAddress, long size, long virtualAddress) {
        if (id < 0
                || size <= 0
                || ((guestAddress | size | virtualAddress) & PAGE_MASK) != 0
                || guestAddress < 0
                || guestAddress + size < 0
                || Long.compareUnsigned(virtualAddress + size, virtualAddress) < 0) {
            throw new IommuException(
                    Errno.EINVAL,
                    "memory slot " + id + " of 0x" + Long.toHexString(size) + " bytes at guest 0x"
                            + Long.toHexString(guestAddress) + " from 0x" + Long.toHexString(virtualAddress)
                            + ", expected page-aligned addresses and a size above 0 that wraps nowhere");
        }
        Slot[] old = slots;
        for (Slot slot : old) {
            if (slot.id == id) {
                throw new IommuException(
                        Errno.EINVAL, "memory slot " + id + " exists and can't be moved or resized; delete it first");
            }
            if (slot.overlaps(guestAddress, size)) {
                throw new IommuException(
                        Errno.EEXIST,
                        "memory slot " + id + " at guest 0x" + Long.toHexString(guestAddress) + " overlaps slot "
                                + slot.id);
            }
        }
        Slot[] grown = Arrays.copyOf(old, old.length + 1);
        grown[old.length] = new Slot(id, guestAddress, size, virtualAddress);
        slots = grown;
    }

    synchronized void remove(int id) {
        Slot[] old = slots;
        for (int i = 0; i < old.length; i++) {
            if (old[i].id == id) {
                Slot[] shrunk = new Slot[old.length - 1];
                System.arraycopy(old, 0, shrunk, 0, i);
                System.arraycopy(old, i + 1, shrunk, i, shrunk.length - i);
                slots = shrunk;
                return;
            }
        }
        throw new IommuException(Errno.EINVAL, "no memory slot " + id + " to delete");
    }

    /** Returns the host physical address of a guest's, or refuses with EFAULT where there is no memory. */
    long translate(long guestAddress) {
        for (Slot slot : slots) {
            if (slot.contains(guestAddress)) {
                long virtualAddress = slot.virtualAddress + (guestAddress - slot.guestAddress);
                long physicalAddress = process.translate(virtualAddress);
                if (physicalAddress == ProcessMemory.UNMAPPED) {
                    throw new IommuException(
                            Errno.EFAULT,
                            "guest address 0x" + Long.toHexString(guestAddress) + " is at 0x"
                                    + Long.toHexString(virtualAddress) + ", where the VMM has no memory");
                }
                return physicalAddress;
            }
        }
        throw new IommuException(
                Errno.EFAULT, "guest address 0x" + Long.toHexString(guestAddress) + " is in no memory slot");
    }
}
