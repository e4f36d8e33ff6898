// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import java.util.Optional;
import org.iommu4j.platform.Processor;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.cache.CacheHierarchy;
import org.iommu4j.sim.cache.EvictionPolicy;
import org.iommu4j.sim.cpu.CachedMemory;
import org.iommu4j.sim.cpu.SimulatedProcessor;
import org.iommu4j.sim.memory.Dram;
import org.iommu4j.sim.spi.AccessStatus;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.trace.Trace;

/** Caches in front of DRAM. */
final class CachedBacking implements Backing {
    private final MachineDescription description;
    private final Dram dram;
    private final CacheHierarchy caches;
    private final PoisonedWords poisoned = new PoisonedWords();
    private final Fabric fabric;

    CachedBacking(MachineDescription description, EvictionPolicy policy, Trace trace) {
        this.description = description;
        dram = new Dram(description.memoryBytes());
        caches = new CacheHierarchy(dram, description.processors(), policy, trace);
        fabric = new CachedFabric(dram, caches, poisoned);
    }

    @Override
    public Fabric fabric() {
        return fabric;
    }

    @Override
    public SystemMemory memory(int cpu) {
        return new CachedMemory(cpu, caches);
    }

    @Override
    public Processor processor(int cpu) {
        return new SimulatedProcessor(cpu, description.processors(), caches);
    }

    @Override
    public Optional<CacheHierarchy> caches() {
        return Optional.of(caches);
    }

    @Override
    public long peek(long physicalAddress) {
        return dram.read(physicalAddress);
    }

    @Override
    public void poison(long physicalAddress) {
        caches.deviceWrite(physicalAddress, poisoned.add(physicalAddress), true);
    }

    @Override
    public void reset() {
        poisoned.reset();
        caches.reset();
        dram.reset();
    }

    @Override
    public void addTo(StateDigest digest) {
        dram.addTo(digest);
        caches.addTo(digest);
        poisoned.addTo(digest, dram::read);
    }

    private record CachedFabric(Dram dram, CacheHierarchy caches, PoisonedWords poisoned) implements Fabric {
        @Override
        public boolean isMemory(long physicalAddress) {
            return dram.contains(physicalAddress);
        }

        @Override
        public long read(long physicalAddress, boolean snoop) {
            long value = isMemory(physicalAddress) ? caches.deviceRead(physicalAddress, snoop) : -1L;
            return poisoned.isPoison(physicalAddress, value) ? -1L : value;
        }

        @Override
        public AccessStatus status(long physicalAddress, boolean snoop) {
            if (!isMemory(physicalAddress)) {
                return AccessStatus.ACCESS_FAULT;
            }
            return poisoned.isPoison(physicalAddress, caches.deviceRead(physicalAddress, snoop))
                    ? AccessStatus.POISON
                    : AccessStatus.OK;
        }

        @Override
        public void write(long physicalAddress, long value, boolean snoop) {
            if (isMemory(physicalAddress)) {
                caches.deviceWrite(physicalAddress, value, snoop);
            }
        }

        @Override
        public void write32(long physicalAddress, int value, boolean snoop) {
            if (isMemory(physicalAddress) && status(physicalAddress & ~4L, snoop) == AccessStatus.OK) {
                caches.deviceWrite32(physicalAddress, value, snoop);
            }
        }

        @Override
        public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
            return isMemory(physicalAddress) && caches.deviceCompareAndSet(physicalAddress, expected, value, snoop);
        }
    }
}
