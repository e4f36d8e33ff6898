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
 * <p>All the rest of the world is a function of the VMM's steps done, and who has a page of memory is among it. For
 * each number of them there is one live world, made by doing them on a fresh machine. The units' caches are full in it,
 * and another one, in which they were never used, has to translate alike; otherwise the page is refused, since a state
 * would lack them.
 *
 * <h2>Not modelled</h2>
 *
 * <p>The driver's own lines: caches are drained after the VMM's steps, so that only named lines are in them. So a
 * story about tables that are left in a cache is none for an exploration yet. Lines that leave a full set: a
 * set has ways for all named lines that share it. What changes a configuration space while programs run.
 */
package org.iommu4j.workbench.explore;
