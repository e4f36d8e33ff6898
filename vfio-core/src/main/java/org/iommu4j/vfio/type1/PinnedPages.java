// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.ProcessMemory;
import org.jspecify.annotations.Nullable;

/**
 * Pins and charges pages of processes, and knows whether they may be unpinned.
 *
 * <p>Frames that are no RAM are not charged, and neither are pages that a driver has pinned: those are charged already.
 * After the first invalidation that did not complete, no page is unpinned: a device may still use it. Under the
 * container's lock. Source: {@code vfio_pin_pages_remote}, {@code vfio_unpin_pages_remote}.
 */
final class PinnedPages {
    /** log2 of the size of a page of the CPU. */
    static final int PAGE_SHIFT = 12;

    /** Size of a page of the CPU, in bytes. */
    static final long PAGE_SIZE = 1L << PAGE_SHIFT;

    /** Number of pages that are pinned at once. */
    static final int BATCH = 512;

    private final long[] frames = new long[BATCH];
    private boolean invalidationLost;
    private long quarantined;

    /** Returns the physical address of a page that the last {@link #pin} pinned. */
    long frame(int index) {
        return frames[index];
    }

    /** Returns how many pages stay pinned permanently. */
    long quarantined() {
        return quarantined;
    }

    /** Records that an invalidation did not complete. */
    void invalidationLost() {
        invalidationLost = true;
    }

    /** Keeps pages pinned permanently, since their addresses are lost. */
    void quarantine(long pages) {
        quarantined += pages;
    }

    /**
     * Pins and charges the next pages of a mapping; a page is either pinned and charged, or neither.
     *
     * @param offset bytes from the mapping's beginning
     * @return the number of pages, at most {@link #BATCH}; {@link #frame} reads their addresses
     * @throws org.iommu4j.IommuException EFAULT, ENOMEM; nothing is pinned
     */
    int pin(DmaMapping mapping, long offset, int count) {
        ProcessMemory process = mapping.process;
        mapping.pinner = process;
        try {
            process.pin(mapping.virtualAddress + offset, count, mapping.writable(), frames);
        } catch (IommuException hole) {
            checkLimitUpTo(mapping, offset, count);
            throw hole;
        }
        try {
            long charged = 0;
            for (int i = 0; i < count; i++) {
                if (isCharged(mapping, offset + ((long) i << PAGE_SHIFT), frames[i])) {
                    charged++;
                }
            }
            process.charge(charged);
        } catch (RuntimeException failure) {
            for (int i = 0; i < count; i++) {
                process.unpin(frames[i], false);
            }
            throw failure;
        }
        return count;
    }

    /**
     * Pins and charges pages one by one up to the first that can't be pinned, and gives them back: a limit that is
     * reached before a hole decides.
     *
     * @throws IommuException ENOMEM
     */
    private void checkLimitUpTo(DmaMapping mapping, long offset, int count) {
        long[] taken = new long[count];
        int done = 0;
        try {
            for (; done + 1 < count; done++) {
                pin(mapping, offset + ((long) done << PAGE_SHIFT), 1);
                taken[done] = frames[0];
            }
        } catch (IommuException end) {
            if (end.errno() == Errno.ENOMEM) {
                throw end;
            }
        } finally {
            for (int i = 0; i < done; i++) {
                giveBack(mapping, offset + ((long) i << PAGE_SHIFT), taken[i], PAGE_SIZE);
            }
        }
    }

    /** Returns whether a mapped page is charged for being mapped. */
    private static boolean isCharged(DmaMapping mapping, long offset, long frame) {
        return !mapping.pinner.isReserved(frame) && !mapping.pinnedByDriver(offset);
    }

    /**
     * Unpins and uncharges contiguous pages of a mapping, unless a device may still use earlier mappings.
     *
     * @param offset bytes from the mapping's beginning
     */
    void giveBack(DmaMapping mapping, long offset, long physicalAddress, long size) {
        long pages = size >>> PAGE_SHIFT;
        if (invalidationLost) {
            quarantined += pages;
            return;
        }
        long uncharged = 0;
        for (long at = 0; at < size; at += PAGE_SIZE) {
            if (isCharged(mapping, offset + at, physicalAddress + at)) {
                uncharged++;
            }
            mapping.pinner.unpin(physicalAddress + at, mapping.writable());
        }
        mapping.process.uncharge(uncharged);
    }

    /**
     * Pins one page of a mapping for a driver.
     *
     * @param charges whether it is to be charged: no domain has it
     * @throws IommuException EFAULT, ENOMEM, EINVAL (no RAM is there); nothing is pinned
     */
    DmaMapping.DriverPin pinForDriver(DmaMapping mapping, long offset, boolean charges) {
        ProcessMemory process = mapping.process;
        process.pin(mapping.virtualAddress + offset, 1, mapping.writable(), frames);
        long frame = frames[0];
        try {
            if (process.isReserved(frame)) {
                throw new IommuException(Errno.EINVAL, "no RAM is at 0x" + Long.toHexString(frame));
            }
            process.charge(charges ? 1 : 0);
        } catch (RuntimeException failure) {
            process.unpin(frame, false);
            throw failure;
        }
        return new DmaMapping.DriverPin(process, frame);
    }

    /** Unpins a page that a driver has pinned. */
    void unpinForDriver(DmaMapping mapping, DmaMapping.DriverPin pin, boolean charged) {
        pin.process.unpin(pin.frame, mapping.writable());
        mapping.process.uncharge(charged ? 1 : 0);
    }

    // ---- failures --------------------------------------------------------------------------------------------------

    /** Records a failure after which a device may go on using pages. */
    void noteLost(RuntimeException failure) {
        if (isLost(failure)) {
            invalidationLost = true;
        }
    }

    private static boolean isLost(Throwable failure) {
        if (!(failure instanceof IommuException refusal)
                || refusal.errno() == Errno.ETIMEDOUT
                || refusal.errno() == Errno.EIO) {
            return true;
        }
        for (Throwable second : failure.getSuppressed()) {
            if (isLost(second)) {
                return true;
            }
        }
        return false;
    }

    /** Adds a failure to an earlier one, and returns the one to throw. */
    RuntimeException noted(@Nullable RuntimeException earlier, RuntimeException failure) {
        noteLost(failure);
        if (earlier == null) {
            return failure;
        }
        noteSuppressed(earlier, failure);
        return earlier;
    }

    static void noteSuppressed(RuntimeException failure, @Nullable RuntimeException second) {
        if (second != null && second != failure) {
            failure.addSuppressed(second);
        }
    }
}
