// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import java.util.function.Consumer;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.tck.Bench;

/**
 * Frames that are spoilt when they are freed, and come back late: a walk through a freed table finds pages that nobody
 * mapped.
 *
 * <p>An ordinary pool gives the lowest free frame, so that the table that a driver makes next is often the one that it
 * has just freed, and a unit that still walks through the freed one finds the right entries there. Here every word of a
 * freed frame is a leaf that leads to one page, the trap, which holds the same word everywhere: whatever the level of
 * the freed table is, what was refused is granted then. The word is learnt from the driver, by the store with which it
 * maps a page. A frame rests before it is given out again, longest first, and must be as it was left: a unit or a
 * driver that writes to it is found as well.
 *
 * <p>Thread-safe.
 */
final class SpoiltFrames implements FrameAllocator {
    /** How many blocks of frames rest. */
    private static final int RESTING = 1024;

    private static final int ORDER_MASK = 0xf;

    private final FrameAllocator pool;
    private final SystemMemory memory;
    private final long trap;
    private final int trapOrder;
    private long spoilt;

    /** A ring of addresses, each with its order in the lowest bits. */
    private final long[] resting = new long[RESTING];

    private int oldest;
    private int count;
    private long restingFrames;

    private SpoiltFrames(FrameAllocator pool, SystemMemory memory, int trapOrder) {
        this.pool = pool;
        this.memory = memory;
        this.trapOrder = trapOrder;
        this.trap = pool.allocate(trapOrder);
    }

    /** Does something on a bench, and again on one like it whose frames are spoilt. */
    static void onBoth(Bench bench, Consumer<Bench> test) {
        test.accept(bench);
        Maker maker = new Maker();
        test.accept(maker.like(bench));
        maker.assertUntouched();
    }

    /** Makes benches like another, on such frames, and remembers the last ones. */
    static final class Maker {
        private SpoiltFrames frames;
        private SteppedMemory memory;
        private long word;

        /** Returns a bench like the given one. */
        Bench like(Bench bench) {
            int order = Long.numberOfTrailingZeros(bench.granule() / SystemMemory.FRAME_SIZE);
            Bench spoilt = bench.on(context -> context(context, order));
            frames.learn(this, spoilt);
            return spoilt;
        }

        private VendorContext context(VendorContext context, int order) {
            memory = new SteppedMemory(context.memory());
            frames = new SpoiltFrames(context.frames(), context.memory(), order);
            return context.withMemory(memory).withFrames(frames);
        }

        /** Asserts that nothing was written to a freed frame. */
        void assertUntouched() {
            frames.checkAll();
        }
    }

    /** Maps a page to the trap beside another, and takes the word that the driver stores for that. */
    private void learn(Maker maker, Bench bench) {
        IommuDomain domain = bench.domain();
        bench.map(domain, bench.iova() + bench.granule(), bench.scratch());
        maker.memory.tell((access, address, value) -> {
            if (access.stores() && value != 0) {
                maker.word = value;
            }
        });
        bench.mapOnly(domain, bench.iova(), trap, bench.granule(), 1, Bench.READ_WRITE);
        maker.memory.tell((access, address, value) -> {});
        domain.close();
        synchronized (this) {
            spoilt = maker.word;
            for (int i = 0; i < count; i++) {
                spoil(block(i), order(i));
            }
            spoil(trap, trapOrder);
        }
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
        spoil(physicalAddress, order);
        resting[(oldest + count) % RESTING] = physicalAddress | order;
        count++;
        restingFrames += 1L << order;
    }

    @Override
    public synchronized long inUse() {
        return pool.inUse() - restingFrames - (1L << trapOrder);
    }

    private long block(int index) {
        return resting[(oldest + index) % RESTING] & -SystemMemory.FRAME_SIZE;
    }

    private int order(int index) {
        return (int) resting[(oldest + index) % RESTING] & ORDER_MASK;
    }

    private void spoil(long block, int order) {
        for (long frame = 0; frame < 1L << order; frame++) {
            long at = block + frame * SystemMemory.FRAME_SIZE;
            memory.storeRun(at, spoilt, 0, SystemMemory.FRAME_WORDS);
            memory.writeBack(at, SystemMemory.FRAME_SIZE);
        }
    }

    /** Gives the block that rested longest back to the pool. */
    private void release() {
        check(0);
        int order = order(0);
        long block = block(0);
        oldest = (oldest + 1) % RESTING;
        count--;
        restingFrames -= 1L << order;
        pool.free(block, order);
    }

    private synchronized void checkAll() {
        for (int i = 0; i < count; i++) {
            check(i);
        }
    }

    private void check(int index) {
        long first = block(index);
        for (long at = first; at != first + ((long) SystemMemory.FRAME_SIZE << order(index)); at += Long.BYTES) {
            long word = memory.load(at);
            if (word != spoilt) {
                throw new AssertionError("0x" + Long.toHexString(word) + " was written to 0x" + Long.toHexString(at)
                        + " after the frame there was freed");
            }
        }
    }
}
