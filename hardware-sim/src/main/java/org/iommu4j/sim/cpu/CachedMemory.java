// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cpu;

import java.util.Objects;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.cache.CacheHierarchy;

/**
 * Memory as one CPU sees it through its caches, all of it write-back.
 *
 * <p>{@link #writeBack} is CLFLUSH of every line in the range, and MFENCE. Without it, stored data may be only in a
 * cache.
 */
public final class CachedMemory implements SystemMemory {
    private final int cpu;
    private final CacheHierarchy caches;

    /** Makes the view of the CPU with a number, from 0. */
    public CachedMemory(int cpu, CacheHierarchy caches) {
        Objects.requireNonNull(caches, "caches");
        this.cpu = cpu;
        this.caches = caches;
    }

    @Override
    public long load(long physicalAddress) {
        return caches.load(cpu, physicalAddress);
    }

    @Override
    public void store(long physicalAddress, long value) {
        caches.store(cpu, physicalAddress, value);
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value) {
        return caches.compareAndSet(cpu, physicalAddress, expected, value);
    }

    @Override
    public void storeRun(long physicalAddress, long first, long increment, int count) {
        checkRun(physicalAddress, count);
        caches.storeRun(cpu, physicalAddress, first, increment, count);
    }

    @Override
    public int leadingClear(long physicalAddress, long mask, int count) {
        checkRun(physicalAddress, count);
        return caches.leading(cpu, physicalAddress, mask, true, count);
    }

    @Override
    public int leadingSet(long physicalAddress, long mask, int count) {
        checkRun(physicalAddress, count);
        return caches.leading(cpu, physicalAddress, mask, false, count);
    }

    @Override
    public void writeBack(long physicalAddress, long size) {
        caches.clflushRange(cpu, physicalAddress, size);
        caches.mfence(cpu);
    }

    private static void checkRun(long physicalAddress, int count) {
        int from = (int) (physicalAddress & (FRAME_SIZE - 1)) >>> 3;
        if (count <= 0 || count > FRAME_WORDS - from) {
            throw new IllegalStateException("a run of " + count + " words from word " + from + " leaves its frame");
        }
    }
}
