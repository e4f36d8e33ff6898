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
 *   <li>{@code Translator}: the path of a request.
 *   <li>{@code TableWalker} and {@code GuestWalker}: the walks; {@code WalkCache}: their cached results.
 *   <li>{@code Faults}, {@code Event} and {@code AmdViEventLog}: refusals.
 *   <li>{@code AmdViUnit} and {@code AmdViCommandBuffer}: registers and commands; {@code AmdViPprLog}: page requests.
 *   <li>{@code AmdViTableReader}, which lists everything that the walks would find.
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>All accesses to structures in memory are snooped: Coherent of the control register and SD of a device table
 *       entry are kept but have no effect. A device table entry is read in one transaction: all its words are from one
 *       moment, however they are stored.
 *   <li>FC of a host's page, or Mode0FC where there are no tables, forces a request to be snooped. Guest tables have no
 *       such bit: without host tables below, a guest's no-snoop request goes past the caches.
 *   <li>The caches hold everything that the manual allows, until software invalidates it: device table entries; pages
 *       and the addresses of lowest tables, of hosts by domain id and of guests by domain id and PASID; entries that
 *       are not present where the capability header has NpCache. Guest translations have separate caches.
 * </ul>
 *
 * <p>Where the manual leaves a choice, the unit is strict:
 *
 * <ul>
 *   <li>A page is cached with its permissions, so a change of permissions needs an invalidation too. A dirty page stays
 *       dirty in the cache when software clears the entry's bit.
 *   <li>The address of a lowest table is cached too, so freeing a table needs an invalidation with PDE.
 *   <li>A guest translation through host tables is dropped by any invalidation of the domain's host addresses: the unit
 *       does not record the host addresses that it depends on.
 *   <li>A PREFETCH is a hint, and ignored.
 * </ul>
 *
 * <h2>Doubtful readings</h2>
 *
 * <p>Device table entries:
 *
 * <ul>
 *   <li>Fields of a device table entry that belong to a feature which EFR lacks are reserved. So are bits 181:180,
 *       206:192 and 245:240, which QEMU's unit also refuses, and bit 106, which it does not (secure ATS in later
 *       revisions). GV while GTEn of the control register is 0 makes the entry illegal.
 *   <li>HAD of a device table entry is two bits, accessed and dirty, and dirty alone is illegal; HADUpdate of the
 *       control register is kept but has no effect.
 *   <li>HATS 3 means a unit without host tables. GATS above 1 and GLXSup 3 are taken as the largest value.
 * </ul>
 *
 * <p>Guest tables:
 *
 * <ul>
 *   <li>Every request is a user's request that neither executes nor is privileged, also one without PASID that goes
 *       through guest tables by GIOV. So U/S must be set in all entries, and US and NX of events are 0. NX is reserved
 *       on a unit without NXSup.
 *   <li>Where Mode is not 0, a GCR3 table points to guest physical addresses. With GCR3TRPMode of the control register,
 *       where EFR2 has it, all levels of the GCR3 table itself are at guest physical addresses. Otherwise they are at
 *       system physical addresses. A fault of the host tables below a guest's is logged without GN, with the guest's
 *       physical address.
 *   <li>Three conditions are page faults without PR: a PASID too large for the unit or for GLX, a PASID with an entry
 *       without GV, and an address that is not canonical. Addresses of PASID 0 are not sign-extended, as in Linux's
 *       {@code amd_iommu_domain_alloc_paging_v2}: all 48 or 57 bits matter, and those above must be 0. Bits 11:1 and
 *       63:52 of GCR3 entries are reserved.
 *   <li>A hardware error of the host tables below a guest's is logged like their faults: with the domain, without GN.
 * </ul>
 *
 * <p>Devices with a TLB, and page requests:
 *
 * <ul>
 *   <li>The reasons for invalid requests, and their Types, are those of illumos' {@code amd_iommu_log.c}, which follows
 *       an early revision.
 *   <li>A translation request is answered without rights and without event where a page is not present or lacks
 *       permission. It is logged where reserved bits are set. A translation request without PASID in the interrupt
 *       range is refused before the entry is read.
 *   <li>With InvTimeOut 0, a device that does not answer an invalidation blocks COMPLETION_WAIT until the command
 *       buffer is turned off; otherwise IOTLB_INV_TIMEOUT is logged at once, with the command's address.
 *   <li>A page request is refused with INVALID_PPR_REQUEST, and answered as invalid, in these cases: PprEn is 0; the
 *       entry is not valid or beyond the table; with EPHSup, the entry's PPR is 0. The entry is read from memory each
 *       time.
 *   <li>While the log does not run, page requests are lost. The unit itself answers them only with PprAutoRspEn;
 *       PprAutoRspAon and PprAutoRespMaskGn are kept but have no effect.
 *   <li>An answer carries a PASID where the command has GN and the entry GPRP. R and W are bits 50 and 53 of the log's
 *       entry, as in Linux.
 *   <li>INVALIDATE_IOTLB_PAGES waits for requests that devices have sent, COMPLETION_WAIT alone does not.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <ul>
 *   <li>A second log of page requests, early warning of its overflow, and stop markers.
 *   <li>Interrupt remapping: its bits in a device table entry are ignored, and the interrupt range passes unchanged for
 *       requests without PASID.
 *   <li>Message-signalled interrupts: the status register's bits are set.
 *   <li>Device table segments, and a second event log.
 *   <li>SysMgt and IoCtl, secure ATS, MARC, SNP, hardware-assisted virtual IOMMUs.
 *   <li>Performance counters and EVENT_COUNTER_ZERO.
 * </ul>
 */
package org.iommu4j.sim.amdvi;
