// SPDX-License-Identifier: Apache-2.0

/** The {@code iommu4j} command and its case library. */
@org.jspecify.annotations.NullMarked
module org.iommu4j.workbench {
    requires com.github.luben.zstd_jni;
    requires transitive com.google.guice;
    requires transitive info.picocli;
    requires me.tongfei.progressbar;
    requires transitive org.iommu4j;
    requires transitive org.iommu4j.audit;
    requires transitive org.iommu4j.core;
    requires transitive org.iommu4j.explorer;
    requires org.iommu4j.intel;
    requires transitive org.iommu4j.kvm;
    requires transitive org.iommu4j.sim;
    requires transitive org.iommu4j.vfio;
    requires static transitive org.jspecify;
    requires org.snakeyaml.engine.v2;
    requires tools.jackson.databind;

    exports org.iommu4j.workbench;
    exports org.iommu4j.workbench.audit;
    exports org.iommu4j.workbench.captured;
    exports org.iommu4j.workbench.decode;
    exports org.iommu4j.workbench.explore;
    exports org.iommu4j.workbench.page;
    exports org.iommu4j.workbench.report;
    exports org.iommu4j.workbench.scenario;
    exports org.iommu4j.workbench.vmm;

    opens org.iommu4j.workbench to
            com.google.guice,
            info.picocli;
}
