// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

/** {@link org.iommu4j.IommuDomain#unmap} and {@link org.iommu4j.IommuDomain#sync}. */
public abstract class UnmappingContract {
    /** Made by JUnit. */
    protected UnmappingContract() {}
}
