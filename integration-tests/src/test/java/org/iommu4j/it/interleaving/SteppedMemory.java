// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.interleaving;

import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.iommu4j.platform.SystemMemory;

/**
 * Memory where each access is a step, and that remembers what of it was written back to DRAM.
 *
 * <p>{@link #dram} is what a unit reads that does not snoop: it never sees a store before somebody wrote it back.
 */
final class SteppedMemory implements SystemMemory {
    private final SystemMemory memory;

    /** Words as of their last write-back; absent words never were. */
    private final Map<Long, Long> writtenBack = new ConcurrentHashMap<>();

    private final Set<Long> stored = ConcurrentHashMap.newKeySet();
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
        if (!stored.contains(physicalAddress)) {
            return memory.load(physicalAddress);
        }
        return writtenBack.getOrDefault(physicalAddress, 0L);
    }

    @Override
    public long load(long physicalAddress) {
        step.run();
        return memory.load(physicalAddress);
    }

    @Override
    public void store(long physicalAddress, long value) {
        step.run();
        memory.store(physicalAddress, value);
        note(physicalAddress, 1);
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value) {
        step.run();
        boolean set = memory.compareAndSet(physicalAddress, expected, value);
        note(physicalAddress, 1);
        return set;
    }

    @Override
    public void storeRun(long physicalAddress, long first, long increment, int count) {
        step.run();
        memory.storeRun(physicalAddress, first, increment, count);
        note(physicalAddress, count);
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
        for (long at = physicalAddress & ~7L; at < physicalAddress + size; at += 8) {
            writtenBack.put(at, memory.load(at));
        }
    }

    private void note(long physicalAddress, int count) {
        for (int i = 0; i < count; i++) {
            stored.add(physicalAddress + 8L * i);
        }
    }
}
