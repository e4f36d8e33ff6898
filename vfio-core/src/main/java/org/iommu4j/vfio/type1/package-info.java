// SPDX-License-Identifier: Apache-2.0

/**
 * The mappings of a container, and the domains that hold them.
 *
 * <p>Start at {@link org.iommu4j.vfio.type1.Type1Iommu}. A container has a list of mappings (I/O virtual address to a
 * process's memory) and a list of domains; each domain holds every mapping. Domains differ in their hardware, or in
 * whether they block no-snoop.
 *
 * <p>Models {@code drivers/vfio/vfio_iommu_type1.c} of Linux 5.15 to 7.1; {@link org.iommu4j.vfio.type1.Type1Options}
 * holds the differences. Not modelled: before 6.18 a mapping that ends with the address space is not found by its own
 * address, so a second one there is not refused; mediated devices and pages that a driver pins itself, dirty tracking,
 * changing virtual addresses under a mapping, memory without page structures.
 */
package org.iommu4j.vfio.type1;
