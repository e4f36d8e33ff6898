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
    public boolean selfSnoop() {
        return description.features().selfSnoop();
    }

    @Override
    public long load(long physicalAddress, MemoryType type) {
        return caches.load(id, physicalAddress, type);
    }

    @Override
    public void store(long physicalAddress, long value, MemoryType type) {
        caches.store(id, physicalAddress, value, type);
    }

    @Override
    public void clflush(long physicalAddress) {
        description.requireX86("CLFLUSH");
        caches.clflush(id, physicalAddress);
    }

    @Override
    public void clflushopt(long physicalAddress) {
        description.requireX86("CLFLUSHOPT");
        caches.clflushopt(id, physicalAddress);
    }

    @Override
    public void clwb(long physicalAddress) {
        description.requireX86("CLWB");
        caches.clwb(id, physicalAddress);
    }

    @Override
    public void wbinvd() {
        description.requireX86("WBINVD");
        caches.wbinvd(id);
    }

    @Override
    public void wbnoinvd() {
        description.requireX86("WBNOINVD");
        caches.wbnoinvd(id);
    }

    @Override
    public void invd() {
        description.requireX86("INVD");
        caches.invd(id);
    }

    @Override
    public void sfence() {
        description.requireX86("SFENCE");
        caches.sfence(id);
    }

    @Override
    public void mfence() {
        caches.mfence(id);
    }
}
