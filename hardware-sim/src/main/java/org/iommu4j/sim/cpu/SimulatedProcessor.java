// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cpu;

import java.util.Objects;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.cache.CacheHierarchy;
import org.iommu4j.sim.spi.ProcessorDescription;

/** A CPU in front of its caches. */
public final class SimulatedProcessor implements Processor {
    private final int id;
    private final ProcessorDescription description;
    private final CacheHierarchy caches;

    /** Makes the CPU with a number, from 0. */
    public SimulatedProcessor(int id, ProcessorDescription description, CacheHierarchy caches) {
        Objects.requireNonNull(description, "description");
        Objects.requireNonNull(caches, "caches");
        this.id = id;
        this.description = description;
        this.caches = caches;
    }

    @Override
    public int id() {
        return id;
    }

    @Override
    public HardwareVirtualization virtualization() {
        return description.virtualization();
    }

    @Override
    public long load(long physicalAddress, MemoryType type) {
        Objects.requireNonNull(type, "type");
        return type == MemoryType.UC ? caches.loadUncached(id, physicalAddress) : caches.load(id, physicalAddress);
    }

    @Override
    public void store(long physicalAddress, long value, MemoryType type) {
        Objects.requireNonNull(type, "type");
        if (type == MemoryType.UC) {
            caches.storeUncached(id, physicalAddress, value);
        } else {
            caches.store(id, physicalAddress, value);
        }
    }

    @Override
    public void clflush(long physicalAddress) {
        description.requireX86("CLFLUSH");
        caches.clflush(id, physicalAddress);
    }

    @Override
    public void wbinvd() {
        description.requireX86("WBINVD");
        caches.wbinvd(id);
    }

    @Override
    public void mfence() {
        caches.mfence(id);
    }
}
