// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.interleaving;

import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.iommu4j.platform.SystemMemory;

/**
 * Memory where each access is a step, and that remembers what of it was written back to DRAM.
 *
 * <p>{@link #dram} is what a unit reads that does not snoop: it never sees a store before somebody wrote it back.
 */
final class SteppedMemory implements SystemMemory {
    private final SystemMemory memory;

    /** DRAM's words of each frame that was ever stored to, by the frame's number; all others are as in memory. */
    private final Map<Long, long[]> dram = new ConcurrentHashMap<>();

    private Runnable step = () -> {};

    SteppedMemory(SystemMemory memory) {
        this.memory = memory;
    }

    /** Has something done before each access from now on. */
    void beforeEach(Runnable action) {
        step = action;
    }

    /** Loads a word as a reader that does not snoop. */
    long dram(long physicalAddress) {
        long[] frame = dram.get(physicalAddress / FRAME_SIZE);
        return frame == null ? memory.load(physicalAddress) : frame[index(physicalAddress)];
    }

    /** Keeps what DRAM has of a frame, before something is stored to it. */
    private long[] keep(long physicalAddress) {
        long number = physicalAddress / FRAME_SIZE;
        long[] known = dram.get(number);
        if (known != null) {
            return known;
        }
        long[] frame = new long[FRAME_WORDS];
        Arrays.setAll(frame, i -> memory.load(number * FRAME_SIZE + i * 8L));
        dram.put(number, frame);
        return frame;
    }

    private static int index(long physicalAddress) {
        return (int) (physicalAddress % FRAME_SIZE) / 8;
    }

    @Override
    public long load(long physicalAddress) {
        step.run();
        return memory.load(physicalAddress);
    }

    @Override
    public void store(long physicalAddress, long value) {
        step.run();
        keep(physicalAddress);
        memory.store(physicalAddress, value);
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value) {
        step.run();
        keep(physicalAddress);
        return memory.compareAndSet(physicalAddress, expected, value);
    }

    @Override
    public void storeRun(long physicalAddress, long first, long increment, int count) {
        step.run();
        keep(physicalAddress);
        memory.storeRun(physicalAddress, first, increment, count);
    }

    @Override
    public int leadingClear(long physicalAddress, long mask, int count) {
        step.run();
        return memory.leadingClear(physicalAddress, mask, count);
    }

    @Override
    public int leadingSet(long physicalAddress, long mask, int count) {
        step.run();
        return memory.leadingSet(physicalAddress, mask, count);
    }

    @Override
    public void writeBack(long physicalAddress, long size) {
        step.run();
        long[] frame = keep(physicalAddress);
        for (long at = physicalAddress & ~7L; at < physicalAddress + size; at += 8) {
            frame = index(at) == 0 ? keep(at) : frame;
            frame[index(at)] = memory.load(at);
        }
    }
}
