// SPDX-License-Identifier: Apache-2.0

/**
 * CPU caches that hold data: what makes a no-snoop access matter.
 *
 * <p>Start at {@link org.iommu4j.sim.cache.CacheHierarchy}. Each CPU has one private cache, all share one last-level
 * cache; lines of 64 bytes, write-back, write-allocate, set-associative, MESI among the private caches. The shared cache
 * takes what private caches evict or pass on modified and is neither inclusive nor exclusive of clean lines; a line that a
 * private cache holds modified or exclusive is nowhere else. All cached copies of a line are equal at all times;
 * memory may differ from them, and that is the point. Replacement, prefetch and eviction are deterministic or explicit
 * events.
 *
 * <p>Not modelled: store buffers (a processor's accesses are sequentially consistent), write-combining and write-through
 * types, instruction caches, way partitioning, timing.
 */
package org.iommu4j.sim.cache;
