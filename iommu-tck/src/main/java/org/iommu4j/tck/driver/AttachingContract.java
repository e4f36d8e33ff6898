// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

/** {@link org.iommu4j.IommuDomain#attach} and {@link org.iommu4j.IommuDomain#detach}. */
public abstract class AttachingContract {
    /** Made by JUnit. */
    protected AttachingContract() {}
}
