// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import org.iommu4j.tck.vendor.DescriptionContract;
import org.iommu4j.tck.vendor.KernelLogContract;
import org.iommu4j.tck.vendor.OpeningContract;
import org.iommu4j.tck.vendor.VendorContract;
import org.junit.jupiter.api.Nested;

/**
 * The promises of a vendor that need no silicon: what it says of firmware's tables, of a host and of the kernel's log,
 * and how it opens hardware that is absent, broken or described wrongly.
 *
 * <p>Of a {@link Subject} only the description of the machine is used, so that its units' provider need not exist.
 */
public abstract class VendorConformance extends Conformance {
    /** Made by JUnit. */
    protected VendorConformance() {}

    /** {@link org.iommu4j.spi.IommuVendor} as such: names, claims, parameters, rules. */
    @Nested
    class Vendors extends VendorContract {}

    /** {@link org.iommu4j.spi.IommuVendor#describe}. */
    @Nested
    class Descriptions extends DescriptionContract {}

    /** {@link org.iommu4j.spi.KernelLog}. */
    @Nested
    class KernelLogs extends KernelLogContract {}

    /** {@link org.iommu4j.spi.IommuVendor#open} where hardware is absent, broken or described wrongly. */
    @Nested
    class Opening extends OpeningContract {}
}
