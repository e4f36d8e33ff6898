// SPDX-License-Identifier: Apache-2.0

/** The driver of an example vendor, which {@link java.util.ServiceLoader} finds; it exports nothing. */
@org.jspecify.annotations.NullMarked
module com.example.minimal {
    requires transitive org.iommu4j;
    requires static org.jspecify;

    provides org.iommu4j.spi.IommuVendor with
            com.example.minimal.MinimalVendor;
}
