// SPDX-License-Identifier: Apache-2.0

/**
 * A kernel driver's view of DMA: buffers in, device addresses out, on the default domain of the device's group.
 *
 * <p>Read {@link org.iommu4j.dma.DmaApi}, then {@link org.iommu4j.dma.DmaDevice}. Models {@code dma-iommu} of Linux 7.1
 * with strict flushing, and direct mapping where the default domain is an identity domain. Not modelled: lazy flushing,
 * scatter-gather merging, bounce buffers (a buffer that the device can't reach is refused), per-CPU caches of
 * addresses, keeping the windows of PCI host bridges free, MSI doorbells, CPU cache maintenance (x86 is coherent, so
 * synchronizing does nothing).
 */
package org.iommu4j.dma;
