// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

/**
 * Memory of the calling process to map. Source: {@code struct iommu_ioas_map}.
 *
 * @param flags {@link #FIXED_IOVA}, {@link #WRITEABLE}, {@link #READABLE}
 * @param ioasId where
 * @param userAddress first byte of the memory
 * @param length bytes
 * @param iova where in the IOAS, if {@link #FIXED_IOVA} is set; else Linux chooses
 */
public record IoasMap(int flags, int ioasId, long userAddress, long length, long iova) {
    /** The address is given. */
    public static final int FIXED_IOVA = 1;
    /** Devices may write. */
    public static final int WRITEABLE = 1 << 1;
    /** Devices may read. */
    public static final int READABLE = 1 << 2;
    /** All flags. */
    static final int FLAGS = FIXED_IOVA | WRITEABLE | READABLE;
}
