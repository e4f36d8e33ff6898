// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import org.iommu4j.platform.SystemMemory;

/** Memory that tells of each access before it is done. */
final class SteppedMemory implements SystemMemory {
    private final SystemMemory memory;
    private Listener listener = (access, address, value) -> {};

    SteppedMemory(SystemMemory memory) {
        this.memory = memory;
    }

    /** Hears of accesses. */
    @FunctionalInterface
    interface Listener {
        /**
         * Hears of one.
         *
         * @param value what is stored, or how many bytes or words are meant; 0 for a load
         */
        void before(Access access, long physicalAddress, long value);
    }

    /** What is done. */
    enum Access {
        LOAD,
        STORE,
        COMPARE_AND_SET,
        STORE_RUN,
        LEADING_CLEAR,
        LEADING_SET,
        WRITE_BACK;

        /** Returns whether the value is a word that comes to be in memory. */
        boolean stores() {
            return this == STORE || this == COMPARE_AND_SET || this == STORE_RUN;
        }
    }

    /** Has something told of each access from now on. */
    void tell(Listener other) {
        listener = other;
    }

    @Override
    public long load(long physicalAddress) {
        listener.before(Access.LOAD, physicalAddress, 0);
        return memory.load(physicalAddress);
    }

    @Override
    public void store(long physicalAddress, long value) {
        listener.before(Access.STORE, physicalAddress, value);
        memory.store(physicalAddress, value);
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value) {
        listener.before(Access.COMPARE_AND_SET, physicalAddress, value);
        return memory.compareAndSet(physicalAddress, expected, value);
    }

    @Override
    public void storeRun(long physicalAddress, long first, long increment, int count) {
        listener.before(Access.STORE_RUN, physicalAddress, first);
        memory.storeRun(physicalAddress, first, increment, count);
    }

    @Override
    public int leadingClear(long physicalAddress, long mask, int count) {
        listener.before(Access.LEADING_CLEAR, physicalAddress, count);
        return memory.leadingClear(physicalAddress, mask, count);
    }

    @Override
    public int leadingSet(long physicalAddress, long mask, int count) {
        listener.before(Access.LEADING_SET, physicalAddress, count);
        return memory.leadingSet(physicalAddress, mask, count);
    }

    @Override
    public void writeBack(long physicalAddress, long size) {
        listener.before(Access.WRITE_BACK, physicalAddress, size);
        memory.writeBack(physicalAddress, size);
    }
}
