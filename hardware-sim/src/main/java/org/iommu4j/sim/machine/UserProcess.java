// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import java.util.Objects;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.FramePool;
import org.iommu4j.sim.support.LongTable;

/**
 * A user process: an address space of pages that are backed when they are allocated, with pins and a limit on locked
 * memory.
 *
 * <p>A page that is freed while pinned keeps its frame until the last pin is released, as in Linux. New pages keep the
 * old contents of their frames. Thread-safe.
 */
public final class UserProcess implements ProcessMemory {
    private static final int PAGE_SHIFT = 12;
    private static final int MAX_ORDER = 10;
    private static final long WRITABLE = 1;

    /** Pages of a user's half of the address space, below bit 63. */
    private static final long USER_PAGES = 1L << 51;

    private final FramePool frames;
    private final long memlockPages;
    private final boolean capIpcLock;

    /** Bit 1 of a page's frame address: it is no RAM. */
    private static final long RESERVED = 2;

    private static final long FLAGS = WRITABLE | RESERVED;

    /** Page number to frame address; bit 0 is set when the page is writable, bit 1 when it is no RAM. */
    private final LongTable pages = new LongTable();

    /** Frame number to its number of pins. */
    private final LongTable pins = new LongTable();

    /** Frame numbers of pages that were freed while pinned. */
    private final LongTable orphans = new LongTable();

    /** Frame numbers that are no RAM. */
    private final LongTable reserved = new LongTable();

    /** Frame numbers that were unpinned dirty. */
    private final LongTable dirty = new LongTable();

    private long pinned;
    private long charged;

    UserProcess(FramePool frames, long memlockPages, boolean capIpcLock) {
        checkCount(memlockPages);
        this.frames = frames;
        this.memlockPages = memlockPages;
        this.capIpcLock = capIpcLock;
    }

    /**
     * Backs pages with frames, in runs as large and as well aligned as the addresses allow.
     *
     * @param virtualAddress 4 KiB aligned
     * @param count the number of pages of 4 KiB, from 1
     * @param writable whether the process may write them, and therefore a device for which they are pinned
     * @return the physical address of the first page
     * @throws IommuException EFAULT when a page has bit 63 set, EEXIST when a page already exists, ENOMEM when frames
     *     run out; nothing is allocated
     */
    public synchronized long allocate(long virtualAddress, int count, boolean writable) {
        checkFree(virtualAddress, count);
        long first = virtualAddress >>> PAGE_SHIFT;
        int done = 0;
        try {
            while (done < count) {
                done += allocateRun(first + done, count - done, writable);
            }
        } catch (IommuException noMemory) {
            release(first, done);
            throw noMemory;
        }
        return translate(virtualAddress);
    }

    /**
     * Maps registers of a device, or other addresses without RAM, into the address space. They are neither pinned nor
     * charged, and go with {@link #free}.
     *
     * @param virtualAddress 4 KiB aligned
     * @param physicalAddress 4 KiB aligned, outside the machine's memory
     * @param count the number of pages of 4 KiB, from 1
     * @param writable whether the process may write them
     * @throws IommuException EFAULT when a page has bit 63 set, EEXIST when a page already exists; nothing is mapped
     */
    public synchronized void mapRegisters(long virtualAddress, long physicalAddress, int count, boolean writable) {
        checkFree(virtualAddress, count);
        long first = virtualAddress >>> PAGE_SHIFT;
        for (int i = 0; i < count; i++) {
            long frame = physicalAddress + (long) i * SystemMemory.FRAME_SIZE;
            reserved.put(frame >>> PAGE_SHIFT, 1);
            pages.put(first + i, frame | RESERVED | (writable ? WRITABLE : 0));
        }
    }

    private void checkFree(long virtualAddress, int count) {
        checkPages(virtualAddress, count);
        long first = virtualAddress >>> PAGE_SHIFT;
        if (first + count > USER_PAGES) {
            throw fault(virtualAddress, "and the " + (count - 1) + " after it are not all user pages");
        }
        for (long page = first; page < first + count; page++) {
            if (pages.get(page, -1) != -1) {
                throw new IommuException(
                        Errno.EEXIST, "page 0x" + Long.toHexString(page << PAGE_SHIFT) + " is already allocated");
            }
        }
    }

    private int allocateRun(long page, int left, boolean writable) {
        int order = Math.min(MAX_ORDER, 31 - Integer.numberOfLeadingZeros(left));
        order = Math.min(order, Long.numberOfTrailingZeros(page));
        while (true) {
            try {
                long frame = frames.allocate(order);
                for (int i = 0; i < 1 << order; i++) {
                    pages.put(page + i, frame + (long) i * SystemMemory.FRAME_SIZE | (writable ? WRITABLE : 0));
                }
                return 1 << order;
            } catch (IommuException noMemory) {
                if (order == 0) {
                    throw noMemory;
                }
                order--;
            }
        }
    }

    /**
     * Frees pages. A pinned page keeps its frame until its last pin is released.
     *
     * @throws IommuException EFAULT when a page does not exist; nothing is freed
     */
    public synchronized void free(long virtualAddress, int count) {
        checkPages(virtualAddress, count);
        long first = virtualAddress >>> PAGE_SHIFT;
        for (long page = first; page < first + count; page++) {
            if (pages.get(page, -1) == -1) {
                throw fault(page << PAGE_SHIFT, "is not allocated");
            }
        }
        release(first, count);
    }

    private void release(long firstPage, int count) {
        for (long page = firstPage; page < firstPage + count; page++) {
            long frame = pages.get(page, 0) & ~FLAGS;
            boolean ram = (pages.get(page, 0) & RESERVED) == 0;
            pages.remove(page);
            if (!ram) {
                continue;
            }
            if (pins.get(frame >>> PAGE_SHIFT, 0) > 0) {
                orphans.put(frame >>> PAGE_SHIFT, 1);
            } else {
                dirty.remove(frame >>> PAGE_SHIFT);
                frames.free(frame, 0);
            }
        }
    }

    @Override
    public synchronized long translate(long virtualAddress) {
        long frame = pages.get(virtualAddress >>> PAGE_SHIFT, -1);
        return frame == -1 ? UNMAPPED : (frame & ~FLAGS) | (virtualAddress & (SystemMemory.FRAME_SIZE - 1));
    }

    @Override
    public synchronized void pin(long virtualAddress, int count, boolean write, long[] into) {
        Objects.requireNonNull(into, "into");
        checkPages(virtualAddress, count);
        if (count > into.length) {
            throw new IllegalArgumentException(count + " pages into an array of " + into.length);
        }
        long first = virtualAddress >>> PAGE_SHIFT;
        for (int i = 0; i < count; i++) {
            long frame = pages.get(first + i, -1);
            if (frame == -1) {
                throw fault((first + i) << PAGE_SHIFT, "is not allocated");
            }
            if (write && (frame & WRITABLE) == 0) {
                throw fault((first + i) << PAGE_SHIFT, "is not writable");
            }
        }
        for (int i = 0; i < count; i++) {
            long frame = pages.get(first + i, -1);
            into[i] = frame & ~FLAGS;
            if ((frame & RESERVED) == 0) {
                pins.put(frame >>> PAGE_SHIFT, pins.get(frame >>> PAGE_SHIFT, 0) + 1);
                pinned++;
            }
        }
    }

    @Override
    public synchronized void unpin(long frame, boolean wasDirtied) {
        long number = frame >>> PAGE_SHIFT;
        if (isReserved(frame)) {
            return;
        }
        long held = pins.get(number, 0);
        if (held == 0 || (frame & (SystemMemory.FRAME_SIZE - 1)) != 0) {
            throw new IllegalStateException("frame 0x" + Long.toHexString(frame) + " is not pinned");
        }
        pinned--;
        if (wasDirtied) {
            dirty.put(number, 1);
        }
        if (held > 1) {
            pins.put(number, held - 1);
            return;
        }
        pins.remove(number);
        if (orphans.get(number, 0) != 0) {
            orphans.remove(number);
            dirty.remove(number);
            frames.free(frame, 0);
        }
    }

    @Override
    public synchronized boolean isReserved(long frame) {
        return reserved.get(frame >>> PAGE_SHIFT, 0) != 0;
    }

    @Override
    public synchronized long pinned() {
        return pinned;
    }

    @Override
    public synchronized void charge(long count) {
        checkCount(count);
        if (count > (capIpcLock ? Long.MAX_VALUE : memlockPages) - charged) {
            throw new IommuException(
                    Errno.ENOMEM,
                    "locking " + count + " more pages would exceed the limit: " + charged + " of " + memlockPages
                            + " are locked");
        }
        charged += count;
    }

    @Override
    public synchronized void uncharge(long count) {
        checkCount(count);
        if (count > charged) {
            throw new IllegalStateException("uncharging " + count + " pages of " + charged);
        }
        charged -= count;
    }

    @Override
    public synchronized long charged() {
        return charged;
    }

    /** Returns whether a page was unpinned as dirty since it was allocated. */
    public synchronized boolean isDirty(long virtualAddress) {
        long physicalAddress = translate(virtualAddress);
        return physicalAddress != UNMAPPED && dirty.get(physicalAddress >>> PAGE_SHIFT, 0) != 0;
    }

    private static void checkPages(long virtualAddress, int count) {
        if (virtualAddress % SystemMemory.FRAME_SIZE != 0 || count < 1) {
            throw new IllegalArgumentException(count + " pages at 0x" + Long.toHexString(virtualAddress)
                    + ", expected at least 1 at a multiple of 4096");
        }
    }

    private static void checkCount(long pages) {
        if (pages < 0) {
            throw new IllegalArgumentException(pages + " pages of locked memory, expected 0 or more");
        }
    }

    private static IommuException fault(long virtualAddress, String what) {
        return new IommuException(Errno.EFAULT, "page 0x" + Long.toHexString(virtualAddress) + " " + what);
    }
}
