// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import java.util.Optional;
import org.iommu4j.platform.Processor;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.sim.cache.CacheHierarchy;
import org.iommu4j.sim.cpu.FlatProcessor;
import org.iommu4j.sim.spi.AccessStatus;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.StateDigest;

/** Memory without caches: every access is coherent, and any thread may make it. */
final class FlatBacking implements Backing {
    private final MachineDescription description;
    private final FlatMemory memory;
    private final PoisonedWords poisoned = new PoisonedWords();
    private final Fabric fabric;

    FlatBacking(MachineDescription description) {
        this.description = description;
        memory = new FlatMemory(description.memoryBytes());
        fabric = new FlatFabric(memory, poisoned);
    }

    @Override
    public Fabric fabric() {
        return fabric;
    }

    @Override
    public SystemMemory memory(int cpu) {
        return memory;
    }

    @Override
    public Processor processor(int cpu) {
        return new FlatProcessor(cpu, description.processors(), memory);
    }

    @Override
    public Optional<CacheHierarchy> caches() {
        return Optional.empty();
    }

    @Override
    public long peek(long physicalAddress) {
        return memory.load(physicalAddress);
    }

    @Override
    public void poison(long physicalAddress) {
        memory.store(physicalAddress, poisoned.add(physicalAddress));
    }

    @Override
    public void reset() {
        poisoned.reset();
        memory.reset();
    }

    @Override
    public void addTo(StateDigest digest) {
        digest.add(memory.contentHash());
        poisoned.addTo(digest, memory::load);
    }

    private record FlatFabric(FlatMemory memory, PoisonedWords poisoned) implements Fabric {
        @Override
        public boolean isMemory(long physicalAddress) {
            return physicalAddress >= 0 && physicalAddress < memory.size();
        }

        @Override
        public long read(long physicalAddress, boolean snoop) {
            long value = isMemory(physicalAddress) ? memory.load(physicalAddress) : -1L;
            return poisoned.isPoison(physicalAddress, value) ? -1L : value;
        }

        @Override
        public AccessStatus status(long physicalAddress, boolean snoop) {
            if (!isMemory(physicalAddress)) {
                return AccessStatus.ACCESS_FAULT;
            }
            return poisoned.isPoison(physicalAddress, memory.load(physicalAddress))
                    ? AccessStatus.POISON
                    : AccessStatus.OK;
        }

        @Override
        public void write(long physicalAddress, long value, boolean snoop) {
            if (isMemory(physicalAddress)) {
                memory.store(physicalAddress, value);
            }
        }

        @Override
        public void write32(long physicalAddress, int value, boolean snoop) {
            if (isMemory(physicalAddress)) {
                long word = physicalAddress & ~4L;
                long old;
                do {
                    old = memory.load(word);
                    if (poisoned.isPoison(word, old)) {
                        return;
                    }
                } while (!memory.compareAndSet(word, old, CacheHierarchy.merge32(old, physicalAddress, value)));
            }
        }

        @Override
        public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
            return isMemory(physicalAddress) && memory.compareAndSet(physicalAddress, expected, value);
        }
    }
}
