// SPDX-License-Identifier: Apache-2.0

/**
 * What Linux makes of a device tree: platform devices with their names, PCI host bridges, and who is behind which unit.
 *
 * <p>{@link org.iommu4j.platform.DeviceTree} reads the bytes. Here are the bindings: {@link
 * org.iommu4j.riscv.dt.PlatformDevice} has a node's address, name, wires and ids ({@code iommus}); {@link
 * org.iommu4j.riscv.dt.PciHost} has a host bridge's segment, and maps requester ids ({@code iommu-map}).
 *
 * <h2>Source</h2>
 *
 * <ul>
 *   <li>Devicetree Specification 0.4, chapters 2 and 4 (standard properties, {@code simple-bus}).
 *   <li>Linux {@code Documentation/devicetree/bindings}: {@code iommu/iommu.txt}, {@code iommu/riscv,iommu.yaml},
 *       {@code pci/pci-iommu.txt}, {@code pci/pci.txt}.
 *   <li>Linux {@code drivers/of/platform.c}, {@code address.c}, {@code irq.c}, {@code base.c}, and {@code
 *       drivers/iommu/of_iommu.c}.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <ul>
 *   <li>Interrupt nexuses, {@code msi-map}, and {@code mask} in a device's name.
 *   <li>{@code dma-noncoherent}: Linux's driver does not ask, and takes all walks for coherent.
 *   <li>{@code memory-region} with {@code iommu-addresses}: Linux's driver has no {@code get_resv_regions}, so nothing
 *       is reserved or mapped for it.
 * </ul>
 */
package org.iommu4j.riscv.dt;
