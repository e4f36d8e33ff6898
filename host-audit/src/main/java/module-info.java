// SPDX-License-Identifier: Apache-2.0

/**
 * The known facts about a host, and the answers of Linux for guests that get its devices.
 *
 * <p>Start at {@link org.iommu4j.host.HostInputs} and {@link org.iommu4j.audit.Auditor}.
 */
@org.jspecify.annotations.NullMarked
module org.iommu4j.audit {
    requires transitive org.iommu4j;
    requires java.xml;
    requires org.apache.commons.compress;
    requires org.iommu4j.core;
    requires org.iommu4j.kvm;
    requires org.iommu4j.vfio;
    requires static transitive org.jspecify;

    exports org.iommu4j.audit;
    exports org.iommu4j.host;
}
