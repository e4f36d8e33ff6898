// SPDX-License-Identifier: Apache-2.0

/** The driver of an example vendor; it exports only the vendor that {@link java.util.ServiceLoader} finds. */
@org.jspecify.annotations.NullMarked
module com.example.minimal {
    requires transitive org.iommu4j;
    requires static org.jspecify;

    exports com.example.minimal;

    provides org.iommu4j.spi.IommuVendor with
            com.example.minimal.MinimalVendor;
}
