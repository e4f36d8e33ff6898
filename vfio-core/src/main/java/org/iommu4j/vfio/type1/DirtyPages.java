// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The argument of VFIO_IOMMU_DIRTY_PAGES. Source: {@code struct vfio_iommu_type1_dirty_bitmap}.
 *
 * @param argsz bytes of the structure that the caller has; {@link #SIZE}, or {@link #SIZE_WITH_RANGE} to get a bitmap
 * @param flags one of {@link #START}, {@link #STOP} and {@link #GET_BITMAP}
 * @param iova for a bitmap: the first byte
 * @param size for a bitmap: bytes
 * @param bitmap for a bitmap: where it goes, else null
 */
public record DirtyPages(
        int argsz,
        int flags,
        long iova,
        long size,
        @Nullable VfioBitmap bitmap) {
    /** Bytes of the structure without a range. */
    public static final int SIZE = 8;

    /** Bytes of the structure with a range and a bitmap. */
    public static final int SIZE_WITH_RANGE = SIZE + 40;

    /** Begin to track. */
    public static final int START = 1;

    /** End tracking. */
    public static final int STOP = 1 << 1;

    /** Get the written pages of a range. */
    public static final int GET_BITMAP = 1 << 2;

    /** Makes an argument that begins or ends tracking. */
    public static DirtyPages of(int flags) {
        return new DirtyPages(SIZE, flags, 0, 0, null);
    }

    /** Makes an argument that gets the written pages of a range. */
    public static DirtyPages of(long iova, long size, VfioBitmap bitmap) {
        Objects.requireNonNull(bitmap, "bitmap");
        return new DirtyPages(SIZE_WITH_RANGE, GET_BITMAP, iova, size, bitmap);
    }
}
