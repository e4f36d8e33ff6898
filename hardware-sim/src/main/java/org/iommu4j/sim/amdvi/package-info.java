// SPDX-License-Identifier: Apache-2.0

/**
 * AMD-Vi's translation unit as silicon.
 *
 * <p>{@link org.iommu4j.sim.amdvi.AmdViUnitProvider} builds units with any features and reads the tables of a memory
 * image.
 *
 * <h2>Source</h2>
 *
 * <p>The "AMD I/O Virtualization Technology (IOMMU) Specification", 48882: registers (chapter 3), device table, host
 * (v1) and guest (v2) page tables (2.2), commands (2.4), events (2.5) and the ACPI table (chapter 5). Each refusal
 * names its event (2.5.2 to 2.5.10).
 *
 * <h2>Reading order</h2>
 *
 * <ul>
 *   <li>{@code Translator}: the way of a request.
 *   <li>{@code TableWalker} and {@code GuestWalker}: the walks; {@code WalkCache}: what they leave.
 *   <li>{@code Faults}, {@code Event} and {@code AmdViEventLog}: refusals.
 *   <li>{@code AmdViUnit} and {@code AmdViCommandBuffer}: registers and commands; {@code AmdViPprLog}: page requests.
 *   <li>{@code AmdViTableReader}, which lists what the walks would find.
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>All accesses to structures in memory are snooped: Coherent of the control register and SD of a device table
 *       entry are kept and change nothing. A device table entry is read in one transaction: as a whole that was there
 *       at some moment, however its words are stored.
 *   <li>FC of a host's page, or Mode0FC where there are no tables, forces a request to be snooped. Guest tables have
 *       nothing like it: without host tables below, a no-snoop request of a guest's goes past the caches.
 *   <li>The caches hold whatever the manual lets them hold until software invalidates it: device table entries; pages
 *       and the places of lowest tables, of hosts by domain id and of guests by domain id and PASID; entries that are
 *       not present where the capability header has NpCache. Guests have caches of their own.
 * </ul>
 *
 * <p>Where the manual leaves a choice, the unit is strict:
 *
 * <ul>
 *   <li>A page is cached with its permissions, so that a change of permissions needs an invalidation as well. A page
 *       that is dirty stays so in the cache when software clears the entry's bit.
 *   <li>The place of a lowest table is cached too, so that freeing a table needs an invalidation with PDE.
 *   <li>What a guest's address came to through host tables goes with any invalidation of the domain's host addresses:
 *       the unit does not remember which of them it was.
 *   <li>A PREFETCH is a hint, and not taken.
 * </ul>
 *
 * <h2>Doubtful readings</h2>
 *
 * <p>Device table entries:
 *
 * <ul>
 *   <li>Fields of a device table entry that belong to a feature which EFR lacks are reserved, as are bits 181:180,
 *       206:192 and 245:240, which QEMU's unit refuses likewise, and bit 106, which it does not (secure ATS in later
 *       revisions). GV while GTEn of the control register is 0 makes the entry illegal.
 *   <li>HAD of a device table entry is two bits, accessed and dirty, and dirty alone is illegal; HADUpdate of the
 *       control register is kept and changes nothing.
 *   <li>HATS 3 is a unit without host tables. GATS above 1 and GLXSup 3 are taken as the largest that there is.
 * </ul>
 *
 * <p>Guest tables:
 *
 * <ul>
 *   <li>Every request is a user's that neither executes nor is privileged, also one without PASID that GIOV sends
 *       through guest tables: U/S must be set in all entries, and US and NX of events are 0. NX is reserved on a unit
 *       without NXSup.
 *   <li>Where Mode is not 0, what a GCR3 table points to is at guest physical addresses. All levels of the table itself
 *       are so with GCR3TRPMode of the control register, which is obeyed where EFR2 has it, and at the system's
 *       otherwise. A fault of the host tables below a guest's is logged without GN, with the guest's physical address.
 *   <li>A PASID that is too large for the unit or for GLX, one of an entry without GV, and an address that is not
 *       canonical are page faults without PR. Addresses of PASID 0 are not extended by their sign, as Linux has it in
 *       {@code amd_iommu_domain_alloc_paging_v2}: all 48 or 57 bits matter, and those above must be 0. Bits 11:1 and
 *       63:52 of GCR3 entries are reserved.
 *   <li>A hardware error of the host tables below a guest's is logged as their faults are: with the domain, without GN.
 * </ul>
 *
 * <p>Devices with a TLB, and page requests:
 *
 * <ul>
 *   <li>Why a device's request is invalid, and its Type, is as in illumos' {@code amd_iommu_log.c}, which follows an
 *       early revision.
 *   <li>A translation request is answered without rights and without event where a page is not present or lacks
 *       permission, and logged where reserved bits are set. One without PASID in the interrupt range is refused before
 *       the entry is looked at.
 *   <li>With InvTimeOut 0, a device that does not answer an invalidation holds up COMPLETION_WAIT until the command
 *       buffer is turned off; otherwise IOTLB_INV_TIMEOUT is logged at once, with the command's address.
 *   <li>A page request is refused with INVALID_PPR_REQUEST, and answered as invalid, in these cases: PprEn is 0; the
 *       entry is not valid or beyond the table; with EPHSup, the entry's PPR is 0. The entry is read anew each time.
 *   <li>While the log does not run page requests are lost, and answered by the unit itself with PprAutoRspEn alone;
 *       PprAutoRspAon and PprAutoRespMaskGn are kept and change nothing.
 *   <li>An answer carries a PASID where the command has GN and the entry GPRP. R and W are bits 50 and 53 of the log's
 *       entry, as in Linux.
 *   <li>INVALIDATE_IOTLB_PAGES waits for what devices have sent, COMPLETION_WAIT alone does not.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <ul>
 *   <li>A second log of page requests, early warning of its overflow, and stop markers.
 *   <li>Interrupt remapping: its bits in a device table entry are read over, and the interrupt range passes as it is
 *       for requests without PASID.
 *   <li>Message-signalled interrupts: the status register's bits are set.
 *   <li>Device table segments, and a second event log.
 *   <li>SysMgt and IoCtl, secure ATS, MARC, SNP, hardware-assisted virtual IOMMUs.
 *   <li>Performance counters and EVENT_COUNTER_ZERO.
 * </ul>
 */
package org.iommu4j.sim.amdvi;
