// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import org.iommu4j.platform.SystemMemory;

/** Memory that takes a few bytes from the heap at some calls; a proxy would at all. */
final class AllocatingMemory implements SystemMemory {
    /** Keeps the compiler from doing without. */
    static volatile Object sink;

    private final SystemMemory memory;
    private final boolean loads;
    private final boolean stores;

    AllocatingMemory(SystemMemory memory, boolean loads, boolean stores) {
        this.memory = memory;
        this.loads = loads;
        this.stores = stores;
    }

    private static void take(boolean really) {
        if (really) {
            sink = new long[1];
        }
    }

    @Override
    public long load(long physicalAddress) {
        take(loads);
        return memory.load(physicalAddress);
    }

    @Override
    public void store(long physicalAddress, long value) {
        take(stores);
        memory.store(physicalAddress, value);
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value) {
        take(stores);
        return memory.compareAndSet(physicalAddress, expected, value);
    }

    @Override
    public void storeRun(long physicalAddress, long first, long increment, int count) {
        take(stores);
        memory.storeRun(physicalAddress, first, increment, count);
    }

    @Override
    public int leadingClear(long physicalAddress, long mask, int count) {
        take(loads);
        return memory.leadingClear(physicalAddress, mask, count);
    }

    @Override
    public int leadingSet(long physicalAddress, long mask, int count) {
        take(loads);
        return memory.leadingSet(physicalAddress, mask, count);
    }

    @Override
    public void writeBack(long physicalAddress, long size) {
        memory.writeBack(physicalAddress, size);
    }
}
