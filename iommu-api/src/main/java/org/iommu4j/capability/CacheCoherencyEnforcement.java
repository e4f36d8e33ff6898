// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.capability;

/**
 * A domain's control over PCIe no-snoop.
 *
 * <p>Source: {@code enforce_cache_coherency} in {@code struct iommu_domain_ops}.
 */
public interface CacheCoherencyEnforcement {
    /**
     * Blocks no-snoop for the whole domain, for good.
     *
     * <p>A consumer calls it before the first mapping. After true no request of an attached device bypasses the CPU
     * caches through a mapping made afterwards [enforce-8]. A mapping made before blocks no-snoop from then on too,
     * unless a release's rule leaves it as it is [enforce-9]. A device whose unit can't block no-snoop is refused by
     * {@code attach} from then on [enforce-10]. There is no way back, and asking again answers
     * true again [enforce-3]. False is an ordinary answer and changes nothing [enforce-4]; the consumer then has to
     * make cache maintenance work. Where every attached device has {@link
     * org.iommu4j.IommuCapability#ENFORCE_CACHE_COHERENCY}, the answer is true, unless a release's rule says otherwise
     * [enforce-5].
     *
     * @return whether no-snoop is blocked
     * @throws org.iommu4j.IommuException ETIMEDOUT or EIO when a needed invalidation did not complete: the caller must
     *     take no-snoop as not blocked [enforce-6]; ENODEV when the domain is closed [enforce-7]
     */
    boolean enforce();
}
