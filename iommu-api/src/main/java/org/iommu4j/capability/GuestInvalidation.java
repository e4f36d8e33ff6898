// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.capability;

/**
 * How a guest's invalidations reach the hardware: the tables of a nested domain are the guest's, their caching is not.
 *
 * <p>Source: {@code cache_invalidate_user} in {@code struct iommu_domain_ops}.
 */
public interface GuestInvalidation {
    /**
     * Has the units forget a range of what the guest's tables said.
     *
     * @param iova first byte, aligned to 4096
     * @param size bytes, a multiple of 4096, or 0 for all
     * @param leavesOnly whether only leaves changed, no tables
     * @throws org.iommu4j.IommuException EINVAL (misaligned), ETIMEDOUT, EIO
     */
    void invalidate(long iova, long size, boolean leavesOnly);
}
