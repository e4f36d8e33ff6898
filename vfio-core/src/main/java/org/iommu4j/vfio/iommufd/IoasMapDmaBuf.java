// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.Objects;

/**
 * A dma-buf to map. Source: {@code struct iommu_ioas_map_file}, whose file is one.
 *
 * @param flags as of {@link IoasMap}
 * @param ioasId where
 * @param buffer the dma-buf
 * @param start first byte in it
 * @param length bytes
 * @param iova where in the IOAS, if {@link IoasMap#FIXED_IOVA} is set; else Linux chooses
 */
public record IoasMapDmaBuf(int flags, int ioasId, DmaBuf buffer, long start, long length, long iova) {
    /** Refuses null. */
    public IoasMapDmaBuf {
        Objects.requireNonNull(buffer, "buffer");
    }
}
