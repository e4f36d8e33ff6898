// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.vendor;

/** {@link org.iommu4j.spi.IommuVendor#describe}. */
public abstract class DescriptionContract {
    /** Made by JUnit. */
    protected DescriptionContract() {}
}
