// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.capability;

import org.iommu4j.DirtyBitmap;

/**
 * A domain's record of which pages devices wrote.
 *
 * <p>Source: {@code struct iommu_dirty_ops}.
 */
public interface DirtyTracking {
    /**
     * Starts or stops recording for every attached device, and for devices that are attached later [set-dirty-1].
     *
     * <p>Starting clears nothing that an earlier recording left [set-dirty-2]; a consumer reads and clears it first.
     * Asking for the state that there is already changes nothing [set-dirty-3].
     *
     * @throws org.iommu4j.IommuException ETIMEDOUT or EIO when a needed invalidation did not complete [set-dirty-4];
     *     ENODEV when the domain is closed [set-dirty-5]
     */
    void setDirtyTracking(boolean enabled);

    /**
     * Marks in a bitmap which pages devices wrote since the last clearing [read-dirty-1].
     *
     * <p>A large leaf marks all of its pages, as far as the bitmap covers them [read-dirty-2]. Pages outside the
     * bitmap's range are neither marked nor cleared, but for the rest of a leaf that reaches into it [read-dirty-3]. A
     * unit may hold a page as written after its entry was cleared. With {@code clear} the units have forgotten what was
     * cleared when this returns, so that a later write is recorded again [read-dirty-4]. Without it the record stays
     * [read-dirty-5].
     *
     * @param bitmap the range to read, and where to mark
     * @param clear whether to clear the record while reading
     * @throws org.iommu4j.IommuException EINVAL when recording is off [read-dirty-6]; ETIMEDOUT or EIO when the
     *     invalidation did not complete [read-dirty-7]; ENODEV when the domain is closed [read-dirty-8]
     */
    void readAndClearDirty(DirtyBitmap bitmap, boolean clear);
}
