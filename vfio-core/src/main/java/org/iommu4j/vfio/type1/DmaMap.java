// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

/**
 * The argument of VFIO_IOMMU_MAP_DMA, for callers that name its size. Source: {@code struct vfio_iommu_type1_dma_map}.
 *
 * @param argsz bytes of the structure that the caller has; {@link #SIZE} or more
 * @param flags {@link Type1Iommu#MAP_READ}, {@link Type1Iommu#MAP_WRITE}, or {@link Type1Iommu#MAP_VADDR}
 * @param virtualAddress its address in the process
 * @param iova its address for devices
 * @param size bytes
 */
public record DmaMap(int argsz, int flags, long virtualAddress, long iova, long size) {
    /** Bytes of the structure. */
    public static final int SIZE = 32;
}
