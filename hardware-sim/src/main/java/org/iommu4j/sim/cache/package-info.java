// SPDX-License-Identifier: Apache-2.0

/**
 * CPU caches that hold data, the reason why no-snoop accesses matter.
 *
 * <h2>Reading order</h2>
 *
 * <ul>
 *   <li>{@link org.iommu4j.sim.cache.CacheHierarchy}: accesses of CPUs and devices.
 *   <li>{@code CoherenceProtocol}, with {@link org.iommu4j.sim.cache.Mesi}: the states of a line in the private caches.
 *   <li>{@code Cache}, with {@link org.iommu4j.sim.cache.EvictionPolicy}: storage of lines.
 *   <li>{@code CombiningBuffers} and {@code PendingFlushes}: what a CPU did and nothing ordered yet.
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>Each CPU has one private cache, all share one last-level cache: they are one package.
 *   <li>Lines of 64 bytes, write-allocate, set-associative, MESI among the private caches; accesses of every {@link
 *       org.iommu4j.platform.MemoryType}.
 *   <li>The shared cache takes lines that private caches evict or pass on modified. It is neither inclusive nor
 *       exclusive of clean lines, or else inclusive of all. A line that is modified or exclusive in a private cache is
 *       in no other cache, except for the old copy that an inclusive one keeps.
 *   <li>All cached copies of a line that may be read are always equal; memory may differ from them, which no-snoop
 *       accesses reveal.
 *   <li>Where processors differ, {@link org.iommu4j.sim.spi.CacheFeatures} decides: self-snoop, inclusion, writes of
 *       devices into the shared cache.
 *   <li>Stores to write-combining memory, CLFLUSHOPT and CLWB wait until something orders them.
 *   <li>Replacement is deterministic; prefetch, eviction and draining are explicit events.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <p>Store buffers (accesses are sequentially consistent but for what waits), speculative loads, several packages,
 * instruction caches, way partitioning, timing. MTRRs and PAT: an access comes with its type.
 */
package org.iommu4j.sim.cache;
