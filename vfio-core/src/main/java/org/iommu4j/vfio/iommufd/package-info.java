// SPDX-License-Identifier: Apache-2.0

/**
 * iommufd: address spaces, hardware page tables and devices as objects of one file, {@code /dev/iommu}.
 *
 * <p>Read in this order: {@link org.iommu4j.vfio.iommufd.Iommufd} (the calls), {@code Ioas} (mappings of a process's
 * memory), {@code PagingHwpt} (a domain that holds all mappings of an IOAS), {@link
 * org.iommu4j.vfio.iommufd.BoundDevice} (a device and what it is attached to), {@link
 * org.iommu4j.vfio.iommufd.CompatContainer} (the same file as a VFIO container), {@code IommufdRules} (what changed
 * from release to release).
 *
 * <p>Models {@code drivers/iommu/iommufd} of Linux 6.2 to 7.3. A call here is an ioctl there, an id is an int of the
 * file's object table. A device that is attached to an IOAS gets an automatic HWPT: the first of the IOAS, oldest
 * first, that takes the device, else a new one. Whether a HWPT blocks no-snoop is decided when it is made; until 6.6 a
 * device that can be enforced made the HWPT that it joined block no-snoop as well.
 *
 * <p>Virtual IOMMUs are objects alone, as of AMD's driver: no driver here makes nested domains through one, reports
 * events to it or shares queues with a guest. Intel's driver has none.
 *
 * <p>Not modelled: dma-bufs of other drivers than vfio-pci, areas under construction (EBUSY of a call that meets
 * another's), page requests without a PASID, the test device. Software-managed
 * windows for MSIs (IOMMU_RESV_SW_MSI) are none of x86: VT-d and AMD-Vi take writes to 0xfee00000 to 0xfeefffff as
 * interrupts before they translate.
 */
@org.jspecify.annotations.NullMarked
package org.iommu4j.vfio.iommufd;
