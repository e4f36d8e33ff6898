// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

/**
 * What a user of a group's default domain keeps with it, and what is freed with it.
 *
 * <p>The DMA API keeps the addresses that are in use, and the unmaps that wait for a flush. Source: {@code iova_cookie}
 * of {@code struct iommu_domain}.
 */
public interface DefaultDomainCookie {
    /**
     * Gives back what is kept. The domain has no devices any more, and is closed next.
     *
     * @throws org.iommu4j.IommuException ETIMEDOUT or EIO when an invalidation did not complete; all is given back that
     *     can be
     */
    void close();
}
