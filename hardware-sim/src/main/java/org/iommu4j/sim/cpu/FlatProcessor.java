// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cpu;

import java.lang.invoke.VarHandle;
import java.util.Objects;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.platform.SystemMemory;

/**
 * A CPU without caches: accesses of every memory type go to memory, and flushing does nothing. Thread-safe.
 *
 * @param id the CPU's number, from 0
 * @param virtualization its virtualization extension
 * @param memory the memory of all CPUs
 */
public record FlatProcessor(int id, HardwareVirtualization virtualization, SystemMemory memory) implements Processor {
    /** Refuses null. */
    public FlatProcessor {
        Objects.requireNonNull(virtualization, "virtualization");
        Objects.requireNonNull(memory, "memory");
    }

    @Override
    public long load(long physicalAddress, MemoryType type) {
        Objects.requireNonNull(type, "type");
        return memory.load(physicalAddress);
    }

    @Override
    public void store(long physicalAddress, long value, MemoryType type) {
        Objects.requireNonNull(type, "type");
        memory.store(physicalAddress, value);
    }

    @Override
    public void clflush(long physicalAddress) {
        VarHandle.fullFence();
    }

    @Override
    public void wbinvd() {
        VarHandle.fullFence();
    }

    @Override
    public void mfence() {
        VarHandle.fullFence();
    }
}
