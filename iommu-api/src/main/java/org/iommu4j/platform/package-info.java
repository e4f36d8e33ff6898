// SPDX-License-Identifier: Apache-2.0

/**
 * The driven ports: all that a driver, core, VFIO and KVM may touch of the world.
 *
 * <p>A driver knows the world as a kernel driver does: through loads and stores ({@link
 * org.iommu4j.platform.SystemMemory}), frames ({@link org.iommu4j.platform.FrameAllocator}), MMIO ({@link
 * org.iommu4j.platform.RegisterSpace}), waiting ({@link org.iommu4j.platform.Waiter}), firmware tables ({@link
 * org.iommu4j.platform.FirmwareTables}) and PCI functions ({@link org.iommu4j.platform.PciTopology}). VFIO and KVM add a
 * user's address space ({@link org.iommu4j.platform.ProcessMemory}) and CPUs ({@link org.iommu4j.platform.Processor}).
 *
 * <p>Simulated silicon never uses these ports. Failure is injected here and nowhere else, by {@link
 * org.iommu4j.platform.FailNth}. {@link org.iommu4j.platform.FlatMemory} and {@link org.iommu4j.platform.FramePool} are
 * the simplest adapters.
 */
package org.iommu4j.platform;
