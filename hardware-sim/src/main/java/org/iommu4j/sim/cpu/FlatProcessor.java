// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cpu;

import java.lang.invoke.VarHandle;
import java.util.Objects;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.spi.ProcessorDescription;

/**
 * A CPU without caches: accesses of every memory type go to memory, and flushing does nothing. Thread-safe.
 *
 * @param id the CPU's number, from 0
 * @param description what the CPUs are
 * @param memory the memory of all CPUs
 */
public record FlatProcessor(int id, ProcessorDescription description, SystemMemory memory) implements Processor {
    /** Refuses null. */
    public FlatProcessor {
        Objects.requireNonNull(description, "description");
        Objects.requireNonNull(memory, "memory");
    }

    @Override
    public HardwareVirtualization virtualization() {
        return description.virtualization();
    }

    @Override
    public boolean selfSnoop() {
        return description.features().selfSnoop();
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
        description.requireX86("CLFLUSH");
        VarHandle.fullFence();
    }

    @Override
    public void clflushopt(long physicalAddress) {
        description.requireX86("CLFLUSHOPT");
        VarHandle.fullFence();
    }

    @Override
    public void clwb(long physicalAddress) {
        description.requireX86("CLWB");
        VarHandle.fullFence();
    }

    @Override
    public void wbinvd() {
        description.requireX86("WBINVD");
        VarHandle.fullFence();
    }

    @Override
    public void wbnoinvd() {
        description.requireX86("WBNOINVD");
        VarHandle.fullFence();
    }

    @Override
    public void invd() {
        description.requireX86("INVD");
        VarHandle.fullFence();
    }

    @Override
    public void sfence() {
        description.requireX86("SFENCE");
        VarHandle.fullFence();
    }

    @Override
    public void mfence() {
        VarHandle.fullFence();
    }
}
