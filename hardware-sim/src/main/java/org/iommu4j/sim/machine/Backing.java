// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import java.util.Optional;
import org.iommu4j.platform.Processor;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.cache.CacheHierarchy;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.StateDigest;

/** The memory behind a machine's CPUs and devices: caches and DRAM, or flat memory. */
interface Backing {
    Fabric fabric();

    SystemMemory memory(int cpu);

    Processor processor(int cpu);

    Optional<CacheHierarchy> caches();

    long peek(long physicalAddress);

    /** Makes a word corrupt, in DRAM and in no cache. */
    void poison(long physicalAddress);

    void reset();

    void addTo(StateDigest digest);
}
