// SPDX-License-Identifier: Apache-2.0

/**
 * AMD I/O virtualization (AMD-Vi) as Linux drives it.
 *
 * <p>It can be read bottom-up: each class needs only classes above it in this list, and those of {@code fmt}, {@code
 * reg} and {@code acpi}. {@link org.iommu4j.amd.AmdVendor} is the only public class.
 *
 * <ul>
 *   <li>Names and rules: {@code AmdNames}; {@code AmdRules}, the only place for differences between releases of Linux;
 *       {@code DomainIds}.
 *   <li>Page tables: {@code PageTable} with {@code HostPageTable} (v1) and {@code GuestPageTable}
 *       (v2); {@code Retirement}, {@code PageMapper}, {@code PageUnmapper}.
 *   <li>Registers and commands: {@code CommandBuffer}, {@code CommandBatch}, {@code UnitCommands}, {@code EventLog};
 *       {@code UnitCapability} and {@code UnitFeatures} of one unit, {@code CommonFeatures} of all units.
 *   <li>Caches and device tables: {@code DeviceServices}, {@code DeviceTlb}; {@code DeviceTable}, which the units of a
 *       segment share; {@code Gcr3Table}.
 *   <li>Unit: {@code PageRequestSink}, {@code PprLog}, {@code AmdUnit}; {@code UnitMap}, the units as firmware
 *       describes them; {@code IoApics}, whether Linux remaps interrupts.
 *   <li>Device: {@code DriverState}, {@code Requester}, {@code DevicePageRequests}; {@code AttachmentList}, {@code
 *       DomainState}; {@code AmdDevice}.
 *   <li>Domain: {@code Attacher}, which moves devices by device table entries and GCR3 tables; {@code AmdDomain},
 *       {@code StaticDomain}; {@code PagingDomain} with {@code HostDomain} and {@code GuestDomain}.
 *   <li>Driver: {@code AmdIommu}, the opened driver; {@code AmdDescription}, {@code AmdSysfs}, {@code AmdRemarks} and
 *       {@code AmdKernelLog}, which answer without opening the driver; {@code AmdVendor}.
 * </ul>
 *
 * <h2>Source</h2>
 *
 * <ul>
 *   <li>AMD I/O Virtualization Technology (IOMMU) Specification, 48882, revision 3.08.
 *   <li>Linux {@code drivers/iommu/amd} and {@code drivers/iommu/generic_pt/fmt/amdv1.h}. Layouts were compared with
 *       {@code amd_iommu_types.h} and {@code iommu.c} of Linux 7.0.
 *   <li>For the parts of the PASID in INVALIDATE_IOTLB_PAGES, the correction in Linux after revision 2.02 of the
 *       specification changed their order (e8d2d82d4a73): bits 15:8 are in the first word's 23:16, bits 7:0 in 55:48.
 *       Bits 19:16 in 59:56 follow the specification; Linux, whose PASIDs have 16 bits, leaves zeros there.
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>Host (v1) tables of every page size and 3 to 6 levels; dirty tracking.
 *   <li>Guest (v2) tables of 4 and 5 levels; GCR3 tables of 1 to 3 levels.
 *   <li>PASIDs in domains with guest tables, with the parameter {@code iommu4j.amd=pasids}, which Linux does not have:
 *       there, domains with page tables take none.
 *   <li>Device IOTLBs (ATS). A device may fail to confirm the invalidation of its IOTLB within a second. This is an
 *       event in the log and not a failure, as in Linux: the wait ends, and the contents of the device's IOTLB are
 *       unknown.
 *   <li>Page requests with PASID, their answers, and overflow of their log. Automatic responses, with success, are on
 *       where a unit has them; Linux leaves them off. The log is drained by an invalidation of the device's IOTLB.
 *   <li>Waits for commands by store, as in Linux, or by interrupt, with the parameter {@code
 *       iommu4j.amd=completion_interrupt}, which Linux does not have. Then ComWaitInt of the status register is polled,
 *       because the platform has no port for the message.
 *   <li>A unit that meets an unknown command stops permanently. Linux continues to send commands and waits in vain each
 *       time. Here the unit is broken, and the next driver that is opened starts it again.
 *   <li>What SNP forbids, on machines that have it by the parameter {@code iommu4j.amd=snp}: Linux finds it out from
 *       the CPUs, for which the platform has no port.
 *   <li>Every kind of block and device entry of an IVRS; several units and segments.
 *   <li>Bits of interrupt remapping in a device table entry are preserved. At opening, an earlier kernel's interrupt
 *       tables are invalidated in the unit.
 * </ul>
 *
 * <h2>Doubtful readings</h2>
 *
 * <ul>
 *   <li>The units' weakest feature decides for all, as in Linux's global masks. The processor's own table depth, which
 *       Linux compares with GATS, is unknown here.
 *   <li>A change of GCR3 entry 0 is followed by an invalidation of the whole PASID.
 *   <li>The image of the feature registers in an IVHD takes precedence where IVinfo.EFRSup is set and the image is not
 *       0; a difference from the registers is a warning.
 *   <li>Linux makes some decisions before it has read the registers. HATS follows only the images, by the bits common
 *       to all units ({@code AmdRules#hostLevels}). GATS and {@code amd_iommu=pgtbl_v2} follow the registers where
 *       there is no image; Linux has 4 levels then and falls back to v1.
 *   <li>QueueID of INVALIDATE_IOTLB_PAGES is the requester id, as in Linux.
 *   <li>GN of an answer to a page request, and GPRP of the device table entry, follow the device's PRG Response PASID
 *       Required; Linux has only GN.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <ul>
 *   <li>Nested domains, which no release up to 7.1 can make ({@code AmdRules}); parents for them can be allocated.
 *   <li>Page requests without PASID, and those for execution or with privilege: they are answered as invalid, as in
 *       Linux.
 *   <li>Messages of interrupts: logs are read on demand.
 *   <li>Interrupt remapping tables, and therefore the guest virtual APIC. Whether interrupts are remapped is known,
 *       but for two kinds of machines: laptops for which Linux has I/O APICs of its own ({@code ivrs_ioapic_quirks}),
 *       and Hygon's family 18h, whose south bridge may be at 00:0b.0 before 7.3.
 *   <li>The checks of SNP against the owners of memory, memory encryption, performance counters.
 *   <li>Exclusion range registers, as in Linux, which maps those ranges one to one instead.
 *   <li>Devices that are not on PCI, except for their ids.
 * </ul>
 */
package org.iommu4j.amd;
