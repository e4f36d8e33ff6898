// SPDX-License-Identifier: Apache-2.0

/**
 * AMD-Vi's translation unit as silicon.
 *
 * <p>Written from the "AMD I/O Virtualization Technology (IOMMU) Specification", 48882: registers (chapter 3), device
 * table and host (v1) page tables (2.2), commands (2.4), events (2.5) and the ACPI table (chapter 5). {@link
 * org.iommu4j.sim.amdvi.AmdViUnitProvider} builds units with any features. Read {@code AmdViUnit.translate} first, then
 * {@code TableWalker}, {@code CommandBuffer} and {@code EventLog}.
 *
 * <p>All accesses to structures in memory are snooped: Coherent of the control register and SD of a device table entry
 * are kept and change nothing. The caches hold whatever the manual lets them hold until software invalidates it.
 *
 * <p>Where the manual leaves a choice, the unit is strict: a page is cached with its permissions, so that a change of
 * permissions needs an invalidation as well; the place of a lowest table is cached too, so that freeing a table needs one
 * with PDE. Not-present entries are not cached, whatever NpCache says.
 *
 * <p>Not modelled: guest (v2) translation and PASIDs (a request with a PASID is a page fault, a device table entry that
 * turns guest translation on is illegal), page requests and their log, accessed and dirty bits, interrupt remapping (its
 * bits in a device table entry are read over, the interrupt range passes as it is), devices' own IOTLBs, message-signalled interrupts (the status register's
 * bits are set), device table segments, a second event log, Mode0FC, performance counters, SNP.
 */
package org.iommu4j.sim.amdvi;
