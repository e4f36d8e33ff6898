// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

/**
 * A range whose written pages are asked for. Source: {@code struct iommu_hwpt_get_dirty_bitmap}.
 *
 * @param hwptId whose
 * @param flags {@link #NO_CLEAR} or 0
 * @param iova first byte
 * @param length bytes
 * @param pageSize bytes that a bit stands for; of a number that is no power of two, its lowest bit counts
 */
public record DirtyRange(int hwptId, int flags, long iova, long length, long pageSize) {
    /** The record stays. */
    public static final int NO_CLEAR = 1;
}
