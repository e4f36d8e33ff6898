// SPDX-License-Identifier: Apache-2.0

/** The {@code iommu4j} command and its case library. */
@org.jspecify.annotations.NullMarked
module org.iommu4j.workbench {
    requires com.google.guice;
    requires info.picocli;
    requires jakarta.inject;
    requires org.apache.commons.compress;
    requires org.iommu4j;
    requires org.iommu4j.core;
    requires org.iommu4j.kvm;
    requires org.iommu4j.sim;
    requires org.iommu4j.vfio;
    requires static org.jspecify;
    requires tools.jackson.databind;

    exports org.iommu4j.workbench;
    exports org.iommu4j.workbench.cases;
    exports org.iommu4j.workbench.host;
    exports org.iommu4j.workbench.report;
    exports org.iommu4j.workbench.scenario;
    exports org.iommu4j.workbench.verdict;

    opens org.iommu4j.workbench to
            com.google.guice,
            info.picocli;
    opens org.iommu4j.workbench.scenario to
            com.google.guice;
}
