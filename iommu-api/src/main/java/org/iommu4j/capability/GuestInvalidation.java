// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.capability;

/**
 * How a guest's invalidations reach the hardware: the tables of a nested domain are the guest's, their caching is not.
 *
 * <p>Source: {@code cache_invalidate_user} in {@code struct iommu_domain_ops}.
 */
public interface GuestInvalidation {
    /**
     * Has the units forget what the guest's tables said.
     *
     * @param request what to forget, in a record of the driver's vendor
     * @throws org.iommu4j.IommuException EINVAL (misaligned, the record is another vendor's), ENODEV, ETIMEDOUT, EIO
     */
    void invalidate(GuestInvalidationRequest request);
}
