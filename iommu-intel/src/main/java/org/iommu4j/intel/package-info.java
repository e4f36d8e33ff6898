// SPDX-License-Identifier: Apache-2.0

/**
 * The VT-d driver.
 *
 * <p>In reading order: {@link org.iommu4j.intel.IntelVendor} (finds and describes), the opened driver, a unit with its
 * root and context tables, the invalidation queue, the domains, the second-stage page table, the rules that changed
 * from release to release. Structures in memory are in {@code fmt}, registers in {@code reg}, DMAR in {@code acpi}.
 *
 * <p>Modelled: legacy mode, second stage with 3 and 4 levels and 4 KiB, 2 MiB and 1 GiB pages, queued and
 * register-based invalidation, caching mode, required write-buffer flushing, page walks without coherency, primary
 * fault logging, snoop control. Not modelled: scalable mode and first stage, 5 levels, device TLBs (ATS), page
 * requests, interrupt remapping tables, posted interrupts, protected memory regions, performance monitoring.
 *
 * <p>Source: Intel Virtualization Technology for Directed I/O, Architecture Specification, sections numbered as in revision 3.3.
 */
package org.iommu4j.intel;
