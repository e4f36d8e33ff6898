// SPDX-License-Identifier: Apache-2.0

/**
 * VFIO: devices given to user space, their groups, and containers whose mappings the devices share.
 *
 * <p>Read in this order: {@link org.iommu4j.vfio.Vfio}, {@link org.iommu4j.vfio.VfioGroup}, {@link
 * org.iommu4j.vfio.VfioContainer}, {@link org.iommu4j.vfio.VfioFile} (all that KVM sees), then {@link
 * org.iommu4j.vfio.type1}.
 *
 * <p>Models {@code drivers/vfio/group.c}, {@code container.c} and the part of {@code vfio_main.c} that registers a
 * device, of Linux 5.15 to 7.1; what differs is in {@code VfioRules}. A call here is an ioctl there; a file descriptor
 * is an object, and its owner a {@link org.iommu4j.platform.ProcessMemory}. Not modelled: iommufd and device files,
 * regions and interrupts of a device, mediated devices, devices without an IOMMU, dirty tracking, changing virtual
 * addresses under a mapping; and of the time before 5.19, when DMA was not owned yet, that a group was found not to be
 * viable when a device was opened (EINVAL) and not when the group entered its container (EPERM), and that KVM refused a
 * group without a container that has its IOMMU.
 */
package org.iommu4j.vfio;
