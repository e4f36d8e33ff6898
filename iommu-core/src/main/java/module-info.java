// SPDX-License-Identifier: Apache-2.0

/**
 * The layer of Linux between IOMMU drivers and their consumers.
 *
 * <p>Start at {@link org.iommu4j.core.IommuCore}; a kernel driver's view of DMA is {@link org.iommu4j.dma.DmaApi}.
 */
@org.jspecify.annotations.NullMarked
module org.iommu4j.core {
    requires static transitive org.jspecify;
    requires transitive org.iommu4j;
    requires org.slf4j;

    exports org.iommu4j.core;
    exports org.iommu4j.dma;
}
