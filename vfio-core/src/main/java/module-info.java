// SPDX-License-Identifier: Apache-2.0

/**
 * VFIO, as far as it decides about cache coherency and owns the mappings of devices assigned to user space.
 *
 * <p>Start at {@link org.iommu4j.vfio.Vfio}. KVM sees only one type, {@link org.iommu4j.vfio.VfioFile}.
 */
@org.jspecify.annotations.NullMarked
module org.iommu4j.vfio {
    requires transitive org.iommu4j;
    requires transitive org.iommu4j.core;
    requires static transitive org.jspecify;

    exports org.iommu4j.vfio;
    exports org.iommu4j.vfio.iommufd;
    exports org.iommu4j.vfio.type1;
}
