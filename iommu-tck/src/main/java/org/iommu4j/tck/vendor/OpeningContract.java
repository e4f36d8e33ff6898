// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.vendor;

/** {@link org.iommu4j.spi.IommuVendor#open} where hardware is absent, broken or described wrongly. */
public abstract class OpeningContract {
    /** Made by JUnit. */
    protected OpeningContract() {}
}
