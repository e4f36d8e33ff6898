// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.vendor;

/** {@link org.iommu4j.spi.IommuVendor} as such: names, claims, parameters, rules. */
public abstract class VendorContract {
    /** Made by JUnit. */
    protected VendorContract() {}
}
