// SPDX-License-Identifier: Apache-2.0

/**
 * VFIO: devices assigned to user space, their groups, and containers whose mappings the devices share.
 *
 * <p>Read in this order: {@link org.iommu4j.vfio.Vfio}, {@link org.iommu4j.vfio.VfioGroup}, {@link
 * org.iommu4j.vfio.VfioContainer}, {@link org.iommu4j.vfio.VfioFile} (KVM's view), then {@link
 * org.iommu4j.vfio.type1}; {@link org.iommu4j.vfio.VfioDeviceFile} for {@link org.iommu4j.vfio.iommufd}.
 *
 * <p>Models {@code drivers/vfio/group.c}, {@code container.c}, {@code device_cdev.c}, {@code iommufd.c} and the part of
 * {@code vfio_main.c} that registers a device, of Linux 5.15 to 7.3; {@code VfioRules} holds the differences. A call
 * here is an ioctl there; a file descriptor is an object, and its owner a {@link org.iommu4j.platform.ProcessMemory}.
 * Where the kernel looks at the size of an argument, the argument is a record that names it. Not modelled: accesses to
 * a device's BARs (a mapping of one keeps the device open), interrupts, and a container for nesting. Its extension
 * is answered, and the type refused. One difference of releases before 5.19 is not modelled either: there KVM refused a
 * group without a container that has its IOMMU.
 */
package org.iommu4j.vfio;
