// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import java.util.BitSet;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.FrameAllocator;

/**
 * Memory set aside for drivers that may not sleep, of devices that are not coherent: no cache holds it.
 *
 * <p>Thread-safe. Source: {@code kernel/dma/pool.c}; growing is not modelled.
 */
final class CoherentPool {
    private static final int PAGE_SHIFT = 12;

    private final FrameAllocator frames;
    private final long base;
    private final int order;
    private final BitSet taken = new BitSet();

    /**
     * Takes the memory.
     *
     * @param bytes a power of two of pages
     * @throws IommuException ENOMEM
     */
    CoherentPool(FrameAllocator frames, long bytes) {
        this.frames = frames;
        this.order = Long.numberOfTrailingZeros(bytes >>> PAGE_SHIFT);
        this.base = frames.allocate(order);
    }

    /**
     * Takes contiguous pages, the lowest that are free.
     *
     * @throws IommuException ENOMEM
     */
    synchronized long allocate(int pages) {
        int first = taken.nextClearBit(0);
        while (first + pages <= 1 << order) {
            int next = taken.nextSetBit(first);
            if (next < 0 || next >= first + pages) {
                taken.set(first, first + pages);
                return base + ((long) first << PAGE_SHIFT);
            }
            first = taken.nextClearBit(next);
        }
        throw new IommuException(
                Errno.ENOMEM, "no " + pages + " contiguous pages left in a pool of " + (1 << order) + " pages");
    }

    /** Gives pages back. */
    synchronized void free(long physicalAddress, int pages) {
        int first = (int) ((physicalAddress - base) >>> PAGE_SHIFT);
        taken.clear(first, first + pages);
    }

    /** Frees the memory, unless a device may still reach some of it. */
    synchronized void close() {
        if (taken.isEmpty()) {
            frames.free(base, order);
        }
    }
}
