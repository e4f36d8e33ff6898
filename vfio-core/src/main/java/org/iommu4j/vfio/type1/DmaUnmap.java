// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import org.jspecify.annotations.Nullable;

/**
 * The argument of VFIO_IOMMU_UNMAP_DMA, for callers that name its size or want the written pages. Source: {@code struct
 * vfio_iommu_type1_dma_unmap}.
 *
 * @param argsz bytes of the structure that the caller has; {@link #SIZE}, or {@link #SIZE_WITH_BITMAP} with a bitmap
 * @param flags of {@link Type1Iommu#UNMAP_GET_DIRTY_BITMAP}, {@link Type1Iommu#UNMAP_ALL} and {@link
 *     Type1Iommu#UNMAP_VADDR}
 * @param iova first byte
 * @param size bytes
 * @param bitmap receives the written pages, null for none
 */
public record DmaUnmap(
        int argsz,
        int flags,
        long iova,
        long size,
        @Nullable VfioBitmap bitmap) {
    /** Bytes of the structure without a bitmap. */
    public static final int SIZE = 24;

    /** Bytes of the structure with a bitmap. */
    public static final int SIZE_WITH_BITMAP = SIZE + 24;
}
