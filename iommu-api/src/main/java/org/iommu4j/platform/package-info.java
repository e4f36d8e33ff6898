// SPDX-License-Identifier: Apache-2.0

/**
 * The driven ports: all that a driver, core, VFIO and KVM may touch of the world.
 *
 * <p>A driver knows the world as a kernel driver does: through loads and stores ({@link
 * org.iommu4j.platform.SystemMemory}), frames ({@link org.iommu4j.platform.FrameAllocator}), MMIO ({@link
 * org.iommu4j.platform.RegisterSpace}), waiting ({@link org.iommu4j.platform.Waiter}), firmware's tables and device
 * tree ({@link org.iommu4j.platform.FirmwareTables}) and PCI functions ({@link org.iommu4j.pci.PciTopology}). VFIO and
 * KVM add a user's address space ({@link org.iommu4j.platform.ProcessMemory}) and CPUs ({@link
 * org.iommu4j.platform.Processor}). {@link org.iommu4j.platform.AcpiTable} and {@link org.iommu4j.platform.DeviceTree}
 * read what firmware left.
 *
 * <p>Simulated silicon never uses these ports. Their simplest adapters, and the wrapper that injects failures, are in
 * {@code org.iommu4j.platform.support}.
 */
package org.iommu4j.platform;
