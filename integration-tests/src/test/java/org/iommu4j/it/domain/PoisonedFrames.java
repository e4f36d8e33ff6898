// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import org.iommu4j.IommuException;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;

/**
 * Frames that are spoilt when they are freed, and come back late: a walk through a freed table finds pages that nobody
 * mapped.
 *
 * <p>An ordinary pool gives the lowest free frame, so that the table that a driver makes next is often the one that it
 * has just freed, and a unit that still walks through the freed one finds the right entries there. Here every word of a
 * freed frame is a leaf that leads to one frame, the trap, which holds the same word everywhere: whatever the level of
 * the freed table is, what was refused is granted then. The frame rests before it is given out again, longest first,
 * and must be as it was left: a unit or a driver that writes to it is found as well.
 *
 * <p>Allocates nothing after construction. Thread-safe.
 */
final class PoisonedFrames implements FrameAllocator {
    /** How many blocks of frames rest. */
    private static final int RESTING = 1024;

    private static final int ORDER_MASK = 0xf;

    private final FrameAllocator pool;
    private final SystemMemory memory;
    private final long poison;
    private final long trap;

    /** A ring of addresses, each with its order in the lowest bits. */
    private final long[] resting = new long[RESTING];

    private int oldest;
    private int count;
    private long restingFrames;

    /**
     * Makes an allocator.
     *
     * @param memory through which frames are spoilt, as a CPU does it
     * @param leaves makes the word that the freed frames are full of
     */
    PoisonedFrames(FrameAllocator pool, SystemMemory memory, LeafFormat leaves) {
        this.pool = pool;
        this.memory = memory;
        this.trap = pool.allocate(0);
        this.poison = leaves.linuxLeaf(trap, SystemMemory.FRAME_SIZE, Bench.READ_WRITE, false);
        spoil(trap);
    }

    @Override
    public synchronized long allocate(int order) {
        try {
            return pool.allocate(order);
        } catch (IommuException full) {
            if (count == 0) {
                throw full;
            }
            while (count != 0) {
                release();
            }
            return pool.allocate(order);
        }
    }

    @Override
    public synchronized void free(long physicalAddress, int order) {
        if (count == RESTING) {
            release();
        }
        for (long frame = 0; frame < 1L << order; frame++) {
            spoil(physicalAddress + frame * SystemMemory.FRAME_SIZE);
        }
        resting[(oldest + count) % RESTING] = physicalAddress | order;
        count++;
        restingFrames += 1L << order;
    }

    @Override
    public synchronized long inUse() {
        return pool.inUse() - restingFrames - 1;
    }

    private void spoil(long frame) {
        memory.storeRun(frame, poison, 0, SystemMemory.FRAME_SIZE / 8);
        memory.writeBack(frame, SystemMemory.FRAME_SIZE);
    }

    /** Gives the block that rested longest back to the pool. */
    private void release() {
        long block = resting[oldest];
        oldest = (oldest + 1) % RESTING;
        count--;
        int order = (int) (block & ORDER_MASK);
        restingFrames -= 1L << order;
        long first = block & -SystemMemory.FRAME_SIZE;
        for (long at = first; at != first + (SystemMemory.FRAME_SIZE << order); at += 8) {
            long word = memory.load(at);
            if (word != poison) {
                throw new AssertionError("0x" + Long.toHexString(word) + " was written to 0x" + Long.toHexString(at)
                        + " after the frame there was freed");
            }
        }
        pool.free(first, order);
    }
}
