// SPDX-License-Identifier: Apache-2.0

/**
 * Intel VT-d: a driver that finds its units in DMAR and translates with tables of both stages, in legacy and scalable
 * mode.
 *
 * <p>Opened through {@link org.iommu4j.spi.IommuVendors}. Callers need no type of this module by name but those of
 * {@link org.iommu4j.intel.nesting}, and these only to pass on what a guest says.
 */
@org.jspecify.annotations.NullMarked
module org.iommu4j.intel {
    requires transitive org.iommu4j;
    requires org.slf4j;

    exports org.iommu4j.intel;
    exports org.iommu4j.intel.nesting;

    provides org.iommu4j.spi.IommuVendor with
            org.iommu4j.intel.IntelVendor;
}
