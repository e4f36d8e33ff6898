// SPDX-License-Identifier: Apache-2.0

/**
 * A kernel driver's view of DMA: buffers in, device addresses out, on the default domain of the device's group.
 *
 * <p>Read {@link org.iommu4j.dma.DmaApi}, then {@link org.iommu4j.dma.DmaDevice} and {@link
 * org.iommu4j.dma.ScatterList}. Below them are {@code DmaSpace} (the addresses of a domain, and when they are free
 * again), {@code FlushQueue}, {@code IovaAllocator}, {@code BouncePool} and {@code CoherentPool}.
 *
 * <p>Models {@code dma-iommu} and {@code iova} of Linux 7.1, with as much of {@code swiotlb}, {@code dma-direct} and
 * the atomic pool as a device meets; {@code DmaRules} lists where a release differs.
 *
 * <ul>
 *   <li>Strict or lazy is the type of the group ({@link org.iommu4j.core.IommuGroup#type}). A lazy unmap waits in a
 *       queue of 256 places, one of which stays empty, for the flush of the whole domain: when the queue is full, or 10
 *       ms of {@link org.iommu4j.dma.DmaApi#advance} after the first came. Until then the device reaches what was
 *       unmapped, also when its memory is in other use.
 *   <li>Addresses are aligned to the power of two that holds the range, from the top down, for PCI devices below 4 GiB
 *       first. Never given out: reserved regions of the group's devices, windows of the host bridge and what it does
 *       not pass on ({@link org.iommu4j.dma.DmaOptions}), page 0.
 *   <li>A device that is not trusted is strict, and gets a bounce buffer for all of a buffer that does not begin and
 *       end with a page.
 * </ul>
 *
 * <p>Deviations. A range whose flush did not complete is never used again, and its memory is not freed by a strict
 * domain; Linux goes on. The regions of all devices of a group are reserved, in Linux those of the first one that is
 * set up. Threads are spread over the flush queues by their numbers, since Java has no CPUs.
 *
 * <p>Not modelled: per-CPU caches of freed addresses (so Linux's addresses differ, and their order), the single queue
 * of s390, mapping in two steps ({@code dma_iova_link}), peer-to-peer pages, MSI doorbells, deferred attach, attributes
 * such as {@code DMA_ATTR_SKIP_CPU_SYNC}, bouncing of small buffers that share a cache line, {@code min_align_mask},
 * and pools that grow.
 */
package org.iommu4j.dma;
