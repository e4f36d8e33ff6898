// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.platform.FlatMemory;
import org.iommu4j.platform.SystemMemory;

/** Flat memory that writes single stores down, and in which another thread may come just before a compare-and-set. */
final class InterposedMemory implements SystemMemory {
    private final FlatMemory memory;
    final List<String> stores = new ArrayList<>();
    Runnable beforeNextCompareAndSet = () -> {};

    InterposedMemory(long size) {
        memory = new FlatMemory(size);
    }

    @Override
    public long load(long physicalAddress) {
        return memory.load(physicalAddress);
    }

    @Override
    public void store(long physicalAddress, long value) {
        stores.add(Long.toHexString(physicalAddress) + " = " + Long.toHexString(value));
        memory.store(physicalAddress, value);
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value) {
        Runnable first = beforeNextCompareAndSet;
        beforeNextCompareAndSet = () -> {};
        first.run();
        return memory.compareAndSet(physicalAddress, expected, value);
    }

    @Override
    public void storeRun(long physicalAddress, long first, long increment, int count) {
        memory.storeRun(physicalAddress, first, increment, count);
    }

    @Override
    public int leadingClear(long physicalAddress, long mask, int count) {
        return memory.leadingClear(physicalAddress, mask, count);
    }

    @Override
    public int leadingSet(long physicalAddress, long mask, int count) {
        return memory.leadingSet(physicalAddress, mask, count);
    }

    @Override
    public void writeBack(long physicalAddress, long size) {
        memory.writeBack(physicalAddress, size);
    }
}
