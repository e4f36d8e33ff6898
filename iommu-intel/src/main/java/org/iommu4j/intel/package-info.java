// SPDX-License-Identifier: Apache-2.0

/**
 * The VT-d driver.
 *
 * <p>It can be read bottom-up: each class needs only classes above it in this list, and those of {@code fmt}, {@code
 * reg} and {@code acpi}. {@link org.iommu4j.intel.IntelVendor} is the only public class; what a guest
 * passes on is in {@link org.iommu4j.intel.nesting}.
 *
 * <ul>
 *   <li>Names and rules: {@code IntelNames}; {@code IntelRules}, the rules that changed from release to release.
 *   <li>Page tables: {@code TableFormat}, {@code PageTable}, {@code Retirement}, {@code
 *       PageMapper}, {@code PageUnmapper}.
 *   <li>Registers and commands: {@code UnitCommands}, {@code FaultLog}, {@code DomainIds}.
 *   <li>Caches: {@code DeviceTlb}; {@code Invalidator} with {@code InvalidationQueue} and {@code RegisterInvalidation};
 *       {@code UnitCaches}, which decides on each invalidation of a unit or a device.
 *   <li>Device tables: {@code TableMemory}, {@code PasidTable}, {@code Requester}; {@code DeviceTables} with {@code
 *       LegacyTables} and {@code ScalableTables}.
 *   <li>Unit: {@code PageRequestSink}, {@code PageRequestQueue}, {@code IntelUnit}; {@code IgnoredUnits}, those that
 *       Linux does not use.
 *   <li>Device: {@code DriverState}, {@code AttachmentState}, {@code DevicePageRequests}, {@code IntelDevice}; {@code
 *       ReservedRegions} and {@code DeviceTlbPolicy}, used to make a device.
 *   <li>Domain: {@code CacheTags}; {@code IntelDomain}, which moves devices; {@code StaticDomain}; {@code
 *       TranslatingDomain}; {@code TableSize}; {@code PagingDomain} with {@code SecondStageDomain} and {@code
 *       FirstStageDomain}; {@code NestedDomain}.
 *   <li>Driver: {@code IntelIommu}, the opened driver; {@code IntelCoherency}, {@code RegistrationPasses}, {@code
 *       IntelDescription}, {@code IntelRemarks}, {@code IntelKernelLog} and {@code IntelSysfs}, which answer without
 *       opening the driver; {@code IntelVendor}.
 * </ul>
 *
 * <h2>Source</h2>
 *
 * <ul>
 *   <li>Intel Virtualization Technology for Directed I/O, Architecture Specification; sections are numbered as in
 *       revision 3.3.
 *   <li>Linux {@code drivers/iommu/intel} and {@code drivers/iommu/generic_pt}.
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>Legacy mode and scalable mode; pass-through; PASIDs.
 *   <li>Second stages of 3 to 5 levels and first stages of 4 and 5, with pages of 4 KiB, 2 MiB and 1 GiB; dirty bits of
 *       second stages.
 *   <li>Nesting, with the guest's invalidations.
 *   <li>Snoop control, by leaf and by PASID entry.
 *   <li>Queued invalidation with descriptors of 128 and 256 bits, register-based invalidation, device TLBs (ATS); a
 *       queue that has stopped, devices that do not answer.
 *   <li>Caching mode, required write-buffer flushing, page walks without coherency.
 *   <li>Primary fault logging.
 *   <li>Page requests with PASID, their answers, overflow and drain.
 *   <li>Functions that firmware left on are turned off: advanced fault logging (CAP.AFL), protected memory regions, and
 *       units that Linux does not use. Linux never uses advanced fault logging and none of 64 captured units has it, so
 *       its records are not read.
 *   <li>Interrupt remapping stays on through every command where firmware or a kernel left it on. Its table is not
 *       changed, and refused interrupts are reported with the other faults. Whether interrupts are isolated follows
 *       from capabilities and the command line.
 * </ul>
 *
 * <h2>Doubtful readings</h2>
 *
 * <ul>
 *   <li>An invalidation of a PASID also removes the missing entry that caching mode keeps, though it names the next
 *       entry's domain: as in Linux.
 *   <li>Missing first-stage entries are not cached.
 *   <li>Dirty bits need page walks with coherency (ECAP.SMPWC); Linux does not check it.
 *   <li>In Linux 7.1 a first-stage domain that has promised enforcement accepts a unit without snoop control, with a
 *       PGSNP that is reserved there. This is a reading of its source.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <ul>
 *   <li>Shared virtual addressing.
 *   <li>Page requests without PASID, and those for execution or with privilege: they are answered as invalid, as in
 *       Linux.
 *   <li>Entries of interrupt remapping are not programmed; posted interrupts.
 *   <li>Enhanced commands, abort-DMA mode, performance monitoring.
 *   <li>Execution and supervisor requests; the extended accessed bit.
 *   <li>Dirty bits of first stages: they are set in advance, as in Linux.
 *   <li>The physical function in a virtual one's device-TLB invalidations: PFSID is the function's own id, so it is
 *       throttled separately.
 *   <li>Requester ids of scalable mode that two functions of different groups share.
 *   <li>Removing top levels of a table for a narrower unit.
 *   <li>Identity domains on units without pass-through, for which Linux until 6.11 mapped all memory: they are refused
 *       in every release.
 * </ul>
 */
package org.iommu4j.intel;
