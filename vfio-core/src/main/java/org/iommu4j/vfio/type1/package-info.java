// SPDX-License-Identifier: Apache-2.0

/**
 * The mappings of a container, and the domains that hold them.
 *
 * <p>Start at {@link org.iommu4j.vfio.type1.Type1Iommu}. A container has a list of mappings (I/O virtual address to a
 * process's memory) and a list of domains; each domain holds every mapping. Domains differ in their hardware, or in
 * whether they block no-snoop.
 *
 * <p>Models {@code drivers/vfio/vfio_iommu_type1.c} of Linux 5.15 to 7.3; {@link org.iommu4j.vfio.type1.Type1Options}
 * holds the differences. Written pages are those that type 1 knows of: it asks no unit, so while a device is there, all
 * of them. Not modelled: before 6.18 a mapping that ends with the address space is not found by its own address, so a
 * second one there is not refused. Before 6.3 a group that joins while a virtual address is missing waits where pages
 * must be pinned, and otherwise joins; here it is refused as since.
 */
package org.iommu4j.vfio.type1;
