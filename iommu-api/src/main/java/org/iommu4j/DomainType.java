// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

/**
 * What a domain does with a device's address.
 *
 * <p>Source: {@code IOMMU_DOMAIN_*}, {@code include/linux/iommu.h}.
 */
public enum DomainType {
    /** Every access faults. */
    BLOCKED,
    /** Every address passes as it is. */
    IDENTITY,
    /** Page tables filled by the owner of the domain: VFIO, iommufd. */
    UNMANAGED,
    /** Page tables filled by the DMA API, flushed at each unmap. */
    DMA,
    /** Page tables filled by a guest, above a parent's: {@link org.iommu4j.capability.Nesting}. */
    NESTED;

    /** Returns whether the domain has page tables, so that it can be mapped. */
    public boolean isPaging() {
        return this == UNMANAGED || this == DMA;
    }
}
