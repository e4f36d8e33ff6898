// SPDX-License-Identifier: Apache-2.0

/**
 * The contract between IOMMU drivers, their consumers and the platform underneath.
 *
 * <p>A consumer starts at {@link org.iommu4j.spi.IommuVendors}, a driver's author at
 * {@link org.iommu4j.spi.IommuVendor}, and a platform's author at {@link org.iommu4j.platform}.
 */
@org.jspecify.annotations.NullMarked
module org.iommu4j {
    requires static transitive org.jspecify;
    requires org.slf4j;

    exports org.iommu4j;
    exports org.iommu4j.bits;
    exports org.iommu4j.capability;
    exports org.iommu4j.device;
    exports org.iommu4j.pci;
    exports org.iommu4j.platform;
    exports org.iommu4j.platform.support;
    exports org.iommu4j.release;
    exports org.iommu4j.spi;

    uses org.iommu4j.spi.IommuVendor;
}
