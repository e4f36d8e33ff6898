// SPDX-License-Identifier: Apache-2.0

/**
 * The conformance kit: JUnit tests that a vendor's module inherits.
 *
 * <p>Start at {@link org.iommu4j.tck.DriverConformance}, {@link org.iommu4j.tck.VendorConformance} or {@link
 * org.iommu4j.tck.SiliconConformance}.
 */
@org.jspecify.annotations.NullMarked
module org.iommu4j.tck {
    requires transitive org.iommu4j;
    requires transitive org.iommu4j.sim;
    requires transitive org.junit.jupiter.api;
    requires transitive org.junit.jupiter.params;
    requires transitive org.assertj.core;
    requires static transitive org.jspecify;
    requires tools.jackson.core;

    exports org.iommu4j.tck;

    opens org.iommu4j.tck to
            org.junit.platform.commons;
    opens org.iommu4j.tck.driver to
            org.junit.platform.commons;
    opens org.iommu4j.tck.silicon to
            org.junit.platform.commons;
    opens org.iommu4j.tck.vendor to
            org.junit.platform.commons;
}
