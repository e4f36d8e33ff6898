// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.benchmarks;

import org.iommu4j.platform.ProcessMemory;

/**
 * A process whose virtual addresses are physical ones plus a constant, so that its cost is nearly none.
 *
 * <p>Its pages need not exist: no device reads them here. It counts pins and charges, and does not hold them by frame.
 */
final class LinearProcess implements ProcessMemory {
    /** What virtual addresses are above physical ones; a multiple of 1 GiB. */
    static final long OFFSET = 0x7f00_0000_0000L;

    private static final long PAGE = 4096;

    private long pinned;
    private long charged;

    /** Returns the virtual address of a physical one. */
    static long virtual(long physical) {
        return physical + OFFSET;
    }

    @Override
    public long translate(long virtualAddress) {
        return virtualAddress - OFFSET;
    }

    @Override
    public synchronized void pin(long virtualAddress, int count, boolean write, long[] frames) {
        for (int i = 0; i < count; i++) {
            frames[i] = virtualAddress - OFFSET + i * PAGE;
        }
        pinned += count;
    }

    @Override
    public synchronized void unpin(long frame, boolean dirty) {
        pinned--;
    }

    @Override
    public synchronized long pinned() {
        return pinned;
    }

    @Override
    public synchronized void charge(long pages) {
        charged += pages;
    }

    @Override
    public synchronized void uncharge(long pages) {
        charged -= pages;
    }

    @Override
    public synchronized long charged() {
        return charged;
    }
}
