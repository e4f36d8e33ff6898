// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

/**
 * The promises of a vendor that need no silicon: what it says of firmware's tables, of a host and of the kernel's log,
 * and how it opens hardware that is absent, broken or described wrongly.
 *
 * <p>Of a {@link Subject} only the description of the machine is used, so that its units' provider need not exist.
 */
public abstract class VendorConformance extends Conformance {
    /** Made by JUnit. */
    protected VendorConformance() {}
}
