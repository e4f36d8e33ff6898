// SPDX-License-Identifier: Apache-2.0

/**
 * Every order of the events of a page that has programs, over the shipped drivers, KVM and silicon.
 *
 * <p>{@link org.iommu4j.workbench.explore.PageExplorer} explores a page on a machine. {@code PageSystem} is what the
 * engine moves about: a state is a few words, and each transition is done by a live world, {@code LiveWorld}, after the
 * words are put back into it. {@code Script} is the page with its names resolved. A violation becomes an ordinary page,
 * which runs to the same verdict.
 *
 * <h2>What a state has</h2>
 *
 * <ul>
 *   <li>The programs' counters, how often the scheduler acted, and how many of the VMM's steps are done.
 *   <li>For each page of memory that the page names: its line in every cache, its word in every CPU's write-combining
 *       buffers, memory, the value that was written last and by whom, KVM's entry, and the type with which the guest
 *       has it mapped.
 *   <li>For each vCPU all that KVM and its registers keep of it.
 * </ul>
 *
 * <p>All the rest of the world is a function of the steps done, the VMM's or those of a domain's user; who has a page
 * of memory is among it. For each number of them there is one live world, made by doing them on a fresh machine. The
 * units' caches are full in it, and another one, in which they were never used, has to translate alike; otherwise the
 * page is refused, since a state would lack them.
 *
 * <p>What the IOMMU's driver writes is in no cache after a step, unless the page names it. Then it stays in the cache
 * of CPU 0, and a state has after which of the steps all of it was evicted; there is a live world for each. A page that
 * names it has no WBINVD, and is refused where a cache has no room for it and the page's memory.
 *
 * <h2>Not modelled</h2>
 *
 * <p>Lines that leave a full set: named lines have sets of their own. What changes a configuration space while programs
 * run.
 */
package org.iommu4j.workbench.explore;
