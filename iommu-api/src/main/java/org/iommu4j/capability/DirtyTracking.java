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
     * Starts or stops recording for every attached device, and for those attached later.
     *
     * <p>Starting does not clear what an earlier recording left: read and clear it first. Asking for what is so already
     * is harmless.
     *
     * @throws org.iommu4j.IommuException ETIMEDOUT or EIO when a needed invalidation did not complete
     */
    void setDirtyTracking(boolean enabled);

    /**
     * Marks in a bitmap what was written since the last clearing.
     *
     * <p>A unit may go on holding a page as written after its entry was cleared, until it is told to forget it: with
     * {@code clear}, this invalidates what it cleared before it returns.
     *
     * @param bitmap the range to read and where to mark; a large leaf marks all of its pages
     * @param clear whether to clear the record while reading
     * @throws org.iommu4j.IommuException EINVAL when recording is off, ETIMEDOUT or EIO
     */
    void readAndClearDirty(DirtyBitmap bitmap, boolean clear);
}
