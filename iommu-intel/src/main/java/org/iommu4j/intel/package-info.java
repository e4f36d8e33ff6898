// SPDX-License-Identifier: Apache-2.0

/**
 * The VT-d driver.
 *
 * <p>In reading order: {@link org.iommu4j.intel.IntelVendor} (finds and describes), the opened driver {@code IntelIommu}, a
 * unit ({@code IntelUnit}) with its device tables ({@code LegacyTables}, {@code ScalableTables}), what it caches ({@code
 * UnitCaches}) and its invalidation queue; the domains ({@code IntelDomain} moves devices, {@code SecondStageDomain} and
 * {@code FirstStageDomain} have a {@code PageTable}, {@code NestedDomain} a guest's); the rules that changed from release
 * to release ({@code IntelRules}). Structures in memory are in {@code fmt}, registers in {@code reg}, DMAR in {@code acpi}.
 *
 * <p>Modelled: legacy mode and scalable mode; second stages of 3 to 5 levels and first stages of 4 and 5, with pages of 4 KiB,
 * 2 MiB and 1 GiB; nesting with the guest's invalidations; pass-through; PASIDs; dirty bits of second stages; snoop control by
 * leaf and by PASID entry; queued invalidation with descriptors of 128 and 256 bits, register-based invalidation, device TLBs
 * (ATS); a queue that stands still, devices that do not answer; caching mode, required write-buffer flushing, page walks
 * without coherency; primary fault logging; page requests with PASID, their answers, overflow and drain ({@code
 * PageRequestQueue}, {@code DevicePageRequests}). What firmware left on is turned off: advanced fault logging (CAP.AFL), which Linux
 * never uses and none of 64 captured units has, so that its records are not read, protected memory regions, and units that Linux
 * does not use ({@code IgnoredUnits}).
 *
 * <p>Interrupt remapping: where firmware or a kernel left it on, it stays on through every command, and its table is not
 * touched; what it refuses comes with the other faults. Entries are not programmed, and whether interrupts count as isolated
 * is answered from capabilities and the command line.
 *
 * <p>Not modelled: shared virtual addressing; page requests without PASID and those for execution or with privilege (they are
 * answered as invalid, as in Linux); posted interrupts, enhanced commands, abort-DMA mode,
 * performance monitoring, execution and supervisor requests, the extended accessed bit, dirty bits of first stages (they are
 * set beforehand, as in Linux), the physical function in a virtual one's device-TLB invalidations (PFSID is the function's own
 * id, so that it is throttled by itself), requester ids of scalable mode that two functions of different groups share, taking
 * top levels off a table for a narrower unit, identity domains on units without pass-through, for which Linux until 6.11 mapped
 * all memory (they are refused in every release).
 *
 * <p>Doubtful readings: that an invalidation of a PASID reaches what caching mode keeps of its missing entry though it names
 * the domain of the entry that comes next, as in Linux; that no missing first-stage entries are kept; that dirty bits need page
 * walks with coherency (ECAP.SMPWC), which Linux does not ask.
 * That a first stage in Linux 7.1 takes a unit without snoop control into a domain that promised, with a PGSNP that is reserved
 * there, is a reading of its source.
 *
 * <p>Source: Intel Virtualization Technology for Directed I/O, Architecture Specification, sections numbered as in revision
 * 3.3; Linux {@code drivers/iommu/intel}.
 */
package org.iommu4j.intel;
