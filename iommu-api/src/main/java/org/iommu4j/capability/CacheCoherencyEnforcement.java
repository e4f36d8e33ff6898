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
     * <p>To be called before the first mapping. True means that no attached device can bypass the CPU caches any
     * more, and that attaching a device whose unit can't block no-snoop is refused from now on. False is an ordinary
     * answer and changes nothing: a consumer then has to make cache maintenance work. Asking again is harmless.
     *
     * @return whether no-snoop is blocked
     * @throws org.iommu4j.IommuException ETIMEDOUT or EIO when a needed invalidation did not complete
     */
    boolean enforce();
}
