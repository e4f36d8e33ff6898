// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.ProcessMemory;
import org.jspecify.annotations.Nullable;

/**
 * The pages of a process that a container has pinned and charged, and whether they may be unpinned.
 *
 * <p>After the first invalidation that did not complete, no page is unpinned: a device may still use it. Under the
 * container's lock. Source: {@code vfio_pin_pages_remote}, {@code vfio_unpin_pages_remote}.
 */
final class PinnedPages {
    /** log2 of the size of a page of the CPU. */
    static final int PAGE_SHIFT = 12;

    /** Size of a page of the CPU, in bytes. */
    static final long PAGE_SIZE = 1L << PAGE_SHIFT;

    /** Number of pages that are pinned at once. */
    static final int BATCH = 512;

    private final ProcessMemory process;
    private final long[] frames = new long[BATCH];
    private boolean invalidationLost;
    private long quarantined;

    PinnedPages(ProcessMemory process) {
        this.process = process;
    }

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
     * Pins and charges the next pages; a page is either pinned and charged, or neither.
     *
     * @return the number of pages, at most {@link #BATCH}; {@link #frame} reads their addresses
     * @throws org.iommu4j.IommuException EFAULT, ENOMEM; nothing is pinned
     */
    int pin(long virtualAddress, int count, boolean write) {
        process.pin(virtualAddress, count, write, frames);
        try {
            process.charge(count);
        } catch (RuntimeException failure) {
            for (int i = 0; i < count; i++) {
                process.unpin(frames[i], false);
            }
            throw failure;
        }
        return count;
    }

    /** Unpins and uncharges contiguous pages, unless a device may still use earlier mappings. */
    void giveBack(long physicalAddress, long size, boolean dirty) {
        long pages = size >>> PAGE_SHIFT;
        if (invalidationLost) {
            quarantined += pages;
            return;
        }
        for (long i = 0; i < pages; i++) {
            process.unpin(physicalAddress + (i << PAGE_SHIFT), dirty);
        }
        process.uncharge(pages);
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
