// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.capability;

/**
 * How a guest's invalidations reach the hardware: the tables of a nested domain are the guest's, their caching is not.
 *
 * <p>Source: {@code cache_invalidate_user} in {@code struct iommu_domain_ops}.
 */
public interface GuestInvalidation {
    /**
     * Has the units forget a part of the guest's tables, before this returns [invalidate-1].
     *
     * <p>Entries outside the request may be forgotten too [invalidate-2].
     *
     * @param request the part, in a record of the driver's vendor
     * @throws org.iommu4j.IommuException EINVAL (misaligned, the record is another vendor's) [invalidate-3]; ENODEV
     *     (the domain is closed) [invalidate-4]; ETIMEDOUT or EIO when the invalidation did not complete [invalidate-5]
     */
    void invalidate(GuestInvalidationRequest request);
}
