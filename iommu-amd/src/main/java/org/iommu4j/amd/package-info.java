// SPDX-License-Identifier: Apache-2.0

/**
 * AMD I/O virtualization (AMD-Vi) as Linux drives it.
 *
 * <p>It can be read bottom-up: each class needs only classes above it in this list, and those of {@code fmt}, {@code
 * reg} and {@code acpi}. {@link org.iommu4j.amd.AmdVendor} is the only public class.
 *
 * <ul>
 *   <li>Page tables: {@code TableFrames}; {@code PageTable} with {@code HostPageTable} (v1) and {@code GuestPageTable}
 *       (v2); {@code Retirement}, {@code PageMapper}, {@code PageUnmapper}.
 *   <li>Names and rules: {@code AmdNames}; {@code AmdRules}, what changes between releases of Linux, which is nowhere
 *       else; {@code DomainIds}.
 *   <li>Registers and commands: {@code CommandBuffer}, {@code CommandBatch}, {@code UnitCommands}, {@code EventLog}; {@code UnitCapability},
 *       {@code UnitFeatures} and {@code CommonFeatures}, those of one unit and of all.
 *   <li>Caches and device tables: {@code DeviceServices}, {@code DeviceTlb}; {@code DeviceTable}, which the units of a
 *       segment share; {@code Gcr3Table}.
 *   <li>Unit: {@code PageRequestSink}, {@code PprLog}, {@code AmdUnit}; {@code UnitMap}, the units as firmware
 *       describes them.
 *   <li>Device: {@code DriverState}, {@code Requester}, {@code DevicePageRequests}; {@code AttachmentList}, {@code
 *       DomainState}; {@code AmdDevice}.
 *   <li>Domain: {@code Attacher}, which moves devices by device table entries and GCR3 tables; {@code AmdDomain},
 *       {@code StaticDomain}; {@code PagingDomain} with {@code HostDomain} and {@code GuestDomain}.
 *   <li>Driver: {@code AmdIommu}, which is opened; {@code AmdDescription}, {@code AmdSysfs} and {@code
 *       AmdKernelLog}, which answer
 *       without opening anything; {@code AmdVendor}.
 * </ul>
 *
 * <p>Source: AMD I/O Virtualization Technology (IOMMU) Specification, 48882, revision 3.08; {@code drivers/iommu/amd} and
 * {@code drivers/iommu/generic_pt/fmt/amdv1.h} of Linux.
 *
 * <p>Modelled: v1 tables of every page size and 3 to 6 levels, v2 tables of 4 and 5 levels, GCR3 tables of 1 to 3 levels,
 * PASIDs, dirty tracking, device IOTLBs (ATS), page requests with PASID, their answers and their log's overflow, every kind of
 * block and device entry of an IVRS, several units and segments.
 *
 * <p>Layouts were compared with {@code amd_iommu_types.h} and {@code iommu.c} of Linux 7.0 and, for INVALIDATE_IOTLB_PAGES, with the
 * correction that Linux made when revision 2.02 of the specification mended the order of the PASID's parts (e8d2d82d4a73):
 * bits 15:8 are in the first word's 23:16, bits 7:0 in 55:48. Bits 19:16 in 59:56 are the specification's; Linux, whose PASIDs
 * have 16 bits, leaves zeros there.
 *
 * <p>Readings that are doubtful: the units' weakest feature decides for all, as Linux's global masks do, and the
 * processor's own table depth, which Linux compares with GATS, is not known here. A change of GCR3 entry 0 is followed by an
 * invalidation of the whole PASID. The image of the feature registers in an IVHD counts where IVinfo.EFRSup says so and it is
 * not 0, else the registers; a difference is a warning. Of what Linux decides before it has read the registers, HATS goes by the
 * images alone, and by the bits that those of all units share ({@code AmdRules#hostLevels}); GATS and {@code
 * amd_iommu=pgtbl_v2} go by the registers where there is no image, while Linux has 4 levels then and falls back to v1. QueueID of
 * INVALIDATE_IOTLB_PAGES is the requester id, as in Linux.
 *
 * <p>Page requests: automatic responses are on where a unit has them, with success, which Linux leaves off; the log is drained by an
 * invalidation of the device's IOTLB. GN of an answer, and GPRP of the device table entry, follow the device's PRG Response PASID
 * Required, where Linux has GN alone.
 *
 * <p>A wait for commands ends by store, as Linux's do, or by interrupt, with the parameter {@code
 * iommu4j.amd=completion_interrupt}, which Linux does not have: then ComWaitInt of the status register is polled, because the
 * platform has no port for the message. A command that the unit does not know stops it for good, as in Linux, which goes on to
 * ask it and waits in vain each time; here the unit counts as broken, and a driver that is opened anew starts it again.
 *
 * <p>A device that does not confirm the invalidation of its IOTLB within a second is an event in the log and no failure, as in Linux:
 * the wait ends, and what the device may still hold nobody knows.
 *
 * <p>Not modelled: units without host tables, which 6.17 and later drive with guest tables alone (HATS 3 is refused then, HATDis
 * of an IVHD not looked at); VAsize of IVinfo, which newer trees take as one more limit of host tables; nested domains, which no
 * release up to 7.1 can make ({@code AmdRules}; parents for them it does give out); page requests without PASID and those for
 * execution or with privilege (they are answered as invalid, as in Linux); interrupts' messages (logs are read when asked);
 * interrupt remapping tables (bits of theirs in a device table entry are preserved; at opening a unit forgets those that an
 * earlier kernel had), so also the guest virtual APIC; SNP, memory encryption, performance counters; exclusion range registers,
 * as in Linux, which maps those ranges one to one instead; devices that are not on PCI, but for their ids.
 */
package org.iommu4j.amd;
