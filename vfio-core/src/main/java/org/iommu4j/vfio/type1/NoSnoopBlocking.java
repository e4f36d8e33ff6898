// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

/** How a container gets no-snoop blocked; differs between releases. */
public enum NoSnoopBlocking {
    /**
     * By {@link org.iommu4j.Prot#CACHE} on every mapping, where the platform's units are capable of it. In these
     * releases it also meant that no-snoop is blocked. The domain is not asked.
     */
    BY_MAPPING,
    /** By {@link org.iommu4j.capability.CacheCoherencyEnforcement}, asked of each domain while it is empty. */
    BY_DOMAIN
}
