// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.ArrayList;
import java.util.List;
import java.util.function.LongBinaryOperator;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.FlatMemory;

/** Memory that writes single stores down, may spoil them, and in which others may come in between. */
final class InterposedMemory implements SystemMemory {
    private final SystemMemory memory;
    final List<String> stores = new ArrayList<>();
    Runnable beforeNextCompareAndSet = () -> {};

    /** What becomes of a store: of its address and value makes the value. */
    LongBinaryOperator spoiling = (physicalAddress, value) -> value;

    /** What happens after each single store. */
    Runnable afterStore = () -> {};

    InterposedMemory(long size) {
        this(new FlatMemory(size));
    }

    InterposedMemory(SystemMemory memory) {
        this.memory = memory;
    }

    @Override
    public long load(long physicalAddress) {
        return memory.load(physicalAddress);
    }

    @Override
    public void store(long physicalAddress, long value) {
        stores.add(Long.toHexString(physicalAddress) + " = " + Long.toHexString(value));
        memory.store(physicalAddress, spoiling.applyAsLong(physicalAddress, value));
        afterStore.run();
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
