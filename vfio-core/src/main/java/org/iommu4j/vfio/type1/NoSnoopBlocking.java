// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

/** What a container relies on to have no-snoop blocked; differs between releases. */
public enum NoSnoopBlocking {
    /**
     * On {@link org.iommu4j.Prot#CACHE}, with which every mapping is made where the platform's units are capable of it:
     * then it also meant that no-snoop is blocked. A domain is asked nothing.
     */
    BY_MAPPING,
    /** On {@link org.iommu4j.capability.CacheCoherencyEnforcement}, asked of each domain while it is empty. */
    BY_DOMAIN
}
