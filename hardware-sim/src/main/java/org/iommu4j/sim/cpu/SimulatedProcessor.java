// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cpu;

import java.util.Objects;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.cache.CacheHierarchy;

/** A CPU in front of its caches. */
public final class SimulatedProcessor implements Processor {
    private final int id;
    private final HardwareVirtualization virtualization;
    private final CacheHierarchy caches;

    /** Makes the CPU with a number, from 0. */
    public SimulatedProcessor(int id, HardwareVirtualization virtualization, CacheHierarchy caches) {
        Objects.requireNonNull(virtualization, "virtualization");
        Objects.requireNonNull(caches, "caches");
        this.id = id;
        this.virtualization = virtualization;
        this.caches = caches;
    }

    @Override
    public int id() {
        return id;
    }

    @Override
    public HardwareVirtualization virtualization() {
        return virtualization;
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
        caches.clflush(id, physicalAddress);
    }

    @Override
    public void wbinvd() {
        caches.wbinvd(id);
    }

    @Override
    public void mfence() {
        caches.mfence(id);
    }
}
