// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import java.util.Objects;

/**
 * A user's bitmap of written pages: bit n of the array for the n-th page of the range asked for. Source: {@code struct
 * vfio_bitmap}.
 *
 * @param pageSize bytes of the page that one bit stands for
 * @param size bytes of the bitmap, as the user names it
 * @param data the user's memory, which may be shorter than it claims
 */
@SuppressWarnings("ArrayRecordComponent") // the caller's memory, into which the answer is written
public record VfioBitmap(long pageSize, long size, long[] data) {
    /** Refuses null. */
    public VfioBitmap {
        Objects.requireNonNull(data, "data");
    }

    /** Names an array and all of its bytes. */
    public VfioBitmap(long pageSize, long[] data) {
        this(pageSize, 8L * data.length, data);
    }
}
