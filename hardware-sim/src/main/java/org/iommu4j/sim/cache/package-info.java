// SPDX-License-Identifier: Apache-2.0

/**
 * CPU caches that hold data, the reason why no-snoop accesses matter.
 *
 * <h2>Reading order</h2>
 *
 * <ul>
 *   <li>{@link org.iommu4j.sim.cache.CacheHierarchy}: accesses of CPUs and devices.
 *   <li>{@code CoherenceProtocol}, with {@link org.iommu4j.sim.cache.Mesi}: the states of a line in the private caches.
 *   <li>{@code Cache} and {@code CacheSet}, with {@link org.iommu4j.sim.cache.EvictionPolicy}: storage of lines.
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>Each CPU has one private cache, all share one last-level cache.
 *   <li>Lines of 64 bytes, write-back, write-allocate, set-associative, MESI among the private caches.
 *   <li>The shared cache takes lines that private caches evict or pass on modified. It is neither inclusive nor
 *       exclusive of clean lines. A line that is modified or exclusive in a private cache is in no other cache.
 *   <li>All cached copies of a line are always equal; memory may differ from them, which no-snoop accesses reveal.
 *   <li>Replacement, prefetch and eviction are deterministic or explicit events.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <p>Store buffers (a processor's accesses are sequentially consistent), write-combining and write-through types,
 * instruction caches, way partitioning, timing.
 */
package org.iommu4j.sim.cache;
