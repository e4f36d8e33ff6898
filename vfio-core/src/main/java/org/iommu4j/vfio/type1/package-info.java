// SPDX-License-Identifier: Apache-2.0

/**
 * The mappings of a container, and the domains that hold them.
 *
 * <p>Start at {@link org.iommu4j.vfio.type1.Type1Iommu}. A container has a list of mappings (I/O virtual address to a
 * process's memory) and a list of domains; each domain holds every mapping. Domains differ in what their hardware is,
 * or in whether they block no-snoop.
 *
 * <p>Models {@code drivers/vfio/vfio_iommu_type1.c} of Linux 5.15 to 7.1; what differs comes with {@link
 * org.iommu4j.vfio.type1.Type1Options}. Not modelled: that before 6.18 a mapping which ends with the address space is
 * not found by its own address, so that a second one there is not refused; mediated devices and pages that a driver
 * pins by itself, dirty tracking, changing virtual addresses under a mapping, memory without page structures.
 */
package org.iommu4j.vfio.type1;
