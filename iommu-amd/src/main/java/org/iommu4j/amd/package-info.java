// SPDX-License-Identifier: Apache-2.0

/**
 * AMD I/O virtualization (AMD-Vi) as Linux drives it.
 *
 * <p>Start at {@link org.iommu4j.amd.AmdVendor}, the only public class. It opens an {@code AmdIommu} of several {@code
 * AmdUnit}s, each with a {@code CommandBuffer} and an {@code EventLog}; the units of a segment share one {@code
 * DeviceTable}. An {@code AmdDomain} has a {@code HostPageTable}. What changes between releases of Linux is in {@code
 * AmdRules} and nowhere else.
 *
 * <p>Source: AMD I/O Virtualization Technology (IOMMU) Specification, 48882, revision 3.08; {@code drivers/iommu/amd} and
 * {@code drivers/iommu/generic_pt/fmt/amdv1.h} of Linux.
 *
 * <p>Not modelled: guest (v2) page tables and PASIDs, peripheral page requests, ATS and device IOTLBs, interrupt
 * remapping tables (bits of theirs in a device table entry are preserved), the guest virtual APIC, SNP, performance
 * counters, devices that are not on PCI.
 */
package org.iommu4j.amd;
