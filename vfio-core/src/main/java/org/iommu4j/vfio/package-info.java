// SPDX-License-Identifier: Apache-2.0

/**
 * VFIO: devices assigned to user space, their groups, and containers whose mappings the devices share.
 *
 * <p>Read in this order: {@link org.iommu4j.vfio.Vfio}, {@link org.iommu4j.vfio.VfioGroup}, {@link
 * org.iommu4j.vfio.VfioContainer}, {@link org.iommu4j.vfio.VfioFile} (KVM's view), then {@link
 * org.iommu4j.vfio.type1}.
 *
 * <p>Models {@code drivers/vfio/group.c}, {@code container.c} and the part of {@code vfio_main.c} that registers a
 * device, of Linux 5.15 to 7.1; {@code VfioRules} holds the differences. A call here is an ioctl there; a file
 * descriptor is an object, and its owner a {@link org.iommu4j.platform.ProcessMemory}. Not modelled: iommufd and device
 * files, regions and interrupts of a device, mediated devices, devices without an IOMMU, dirty tracking, changing
 * virtual addresses under a mapping. Two differences of releases before 5.19, where DMA had no owner, are not modelled
 * either. There a group that is not viable was refused when a device was opened (EINVAL), not when the group entered
 * its container (EPERM). And KVM refused a group without a container that has its IOMMU.
 */
package org.iommu4j.vfio;
