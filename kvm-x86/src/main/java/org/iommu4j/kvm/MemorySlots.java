// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.ProcessMemory;

/**
 * The addresses of guest physical memory in the VMM's address space, and each page's type in the second-stage table.
 *
 * <p>Readers see one immutable array, so a guest's access takes no lock. A page has a type from its first access until
 * all entries are dropped. Source: {@code struct kvm_memslots}.
 */
final class MemorySlots {
    private static final long PAGE_MASK = 0xfff;

    private static final int PAGE_SHIFT = 12;

    /** Maximum number of pages, so that their types fit an array: 8 TiB. */
    private static final long MAX_SIZE = (long) (Integer.MAX_VALUE - 8) << PAGE_SHIFT;

    private static final VarHandle TYPES = MethodHandles.arrayElementVarHandle(byte[].class);

    /** The type of a page's entry; asked once for each page, and again after {@link #dropEntries}. */
    @FunctionalInterface
    interface TypeOfPage {
        GuestMemoryType of(long guestAddress);
    }

    /** A slot. */
    static class Slot {
        private final int id;
        private final long guestAddress;
        private final long size;
        private final long virtualAddress;

        /** For each page: 0 while it has no entry, else 1 + its type's ordinal. */
        private final byte[] types;

        Slot(int id, long guestAddress, long size, long virtualAddress) {
            this.id = id;
            this.guestAddress = guestAddress;
            this.size = size;
            this.virtualAddress = virtualAddress;
            this.types = new byte[(int) (size >>> PAGE_SHIFT)];
        }

        /** Returns the first address after the slot, never negative. A search reads nothing else. */
        long end() {
            return guestAddress + size;
        }
    }

    private static final GuestMemoryType[] ENTRY_TYPES = GuestMemoryType.values();

    private final ProcessMemory process;
    private final Map<Integer, Slot> byId = new HashMap<>();

    /** Sorted by guest address; the array itself is never changed. */
    private volatile Slot[] slots = {};

    MemorySlots(ProcessMemory process) {
        this.process = process;
    }

    synchronized void add(int id, long guestAddress, long size, long virtualAddress) {
        if (id < 0
                || size <= 0
                || size > MAX_SIZE
                || ((guestAddress | size | virtualAddress) & PAGE_MASK) != 0
                || guestAddress < 0
                || guestAddress + size < 0
                || virtualAddress < 0
                || virtualAddress + size < 0) {
            throw new IommuException(
                    Errno.EINVAL,
                    "memory slot " + id + " of 0x" + Long.toHexString(size) + " bytes at guest 0x"
                            + Long.toHexString(guestAddress) + " from 0x" + Long.toHexString(virtualAddress)
                            + ", expected page-aligned addresses below bit 63 and a size above 0");
        }
        if (byId.containsKey(id)) {
            throw new IommuException(
                    Errno.EINVAL, "memory slot " + id + " exists and can't be moved or resized; delete it first");
        }
        Slot[] old = slots;
        int index = firstFrom(old, guestAddress);
        if (index < old.length && old[index].guestAddress < guestAddress + size) {
            throw new IommuException(
                    Errno.EEXIST,
                    "memory slot " + id + " at guest 0x" + Long.toHexString(guestAddress) + " overlaps slot "
                            + old[index].id);
        }
        Slot added = new Slot(id, guestAddress, size, virtualAddress);
        Slot[] grown = Arrays.copyOf(old, old.length + 1);
        System.arraycopy(old, index, grown, index + 1, old.length - index);
        grown[index] = added;
        byId.put(id, added);
        slots = grown;
    }

    synchronized void remove(int id) {
        Slot removed = byId.remove(id);
        if (removed == null) {
            throw new IommuException(Errno.EINVAL, "no memory slot " + id + " to delete");
        }
        Slot[] old = slots;
        int index = firstFrom(old, removed.guestAddress);
        Slot[] shrunk = new Slot[old.length - 1];
        System.arraycopy(old, 0, shrunk, 0, index);
        System.arraycopy(old, index + 1, shrunk, index, shrunk.length - index);
        slots = shrunk;
        // KVM_X86_QUIRK_SLOT_ZAP_ALL is on by default, and releases without the quirk do the same: drop all entries.
        dropEntries();
    }

    /** Returns the type of a page; a page without a type gets one now. */
    @SuppressWarnings("EnumOrdinal") // one byte per page, an index into ENTRY_TYPES; it never leaves this object
    GuestMemoryType type(long guestAddress, TypeOfPage fresh) {
        Slot slot = slot(guestAddress);
        int page = (int) ((guestAddress - slot.guestAddress) >>> PAGE_SHIFT);
        int type = (byte) TYPES.getOpaque(slot.types, page);
        if (type == 0) {
            // Under the lock; otherwise an outdated type could survive the dropping of all entries.
            synchronized (this) {
                type = 1 + fresh.of(guestAddress).ordinal();
                TYPES.setOpaque(slot.types, page, (byte) type);
            }
        }
        return ENTRY_TYPES[type - 1];
    }

    /** Returns a page's byte: 0 while it has no entry, else 1 + its type's ordinal. */
    int code(long guestAddress) {
        Slot slot = slot(guestAddress);
        return (byte) TYPES.getOpaque(slot.types, (int) ((guestAddress - slot.guestAddress) >>> PAGE_SHIFT));
    }

    /** Sets a page's byte. */
    synchronized void restore(long guestAddress, int code) {
        if (code < 0 || code > ENTRY_TYPES.length) {
            throw new IllegalStateException("no entry has the code " + code);
        }
        Slot slot = slot(guestAddress);
        TYPES.setOpaque(slot.types, (int) ((guestAddress - slot.guestAddress) >>> PAGE_SHIFT), (byte) code);
    }

    /** Drops all entries: every page gets a new type at its next access. */
    synchronized void dropEntries() {
        for (Slot slot : slots) {
            for (int page = 0; page < slot.types.length; page++) {
                TYPES.setOpaque(slot.types, page, (byte) 0);
            }
        }
    }

    /**
     * Returns the host physical address of a guest physical address, or refuses with EFAULT where there is no memory.
     */
    long translate(long guestAddress) {
        Slot slot = slot(guestAddress);
        long virtualAddress = slot.virtualAddress + (guestAddress - slot.guestAddress);
        long physicalAddress = process.translate(virtualAddress);
        if (physicalAddress == ProcessMemory.UNMAPPED) {
            throw new IommuException(
                    Errno.EFAULT,
                    "guest address 0x" + Long.toHexString(guestAddress) + " is at 0x" + Long.toHexString(virtualAddress)
                            + ", where the VMM has no memory");
        }
        return physicalAddress;
    }

    private Slot slot(long guestAddress) {
        Slot[] now = slots;
        int index = firstFrom(now, guestAddress);
        if (index < now.length && now[index].guestAddress <= guestAddress) {
            return now[index];
        }
        throw new IommuException(
                Errno.EFAULT, "guest address 0x" + Long.toHexString(guestAddress) + " is in no memory slot");
    }

    /** Returns the index of the first slot that ends after an address, or the number of slots. */
    static int firstFrom(Slot[] sorted, long guestAddress) {
        int low = 0;
        int high = sorted.length;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (sorted[middle].end() <= guestAddress) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }
}
