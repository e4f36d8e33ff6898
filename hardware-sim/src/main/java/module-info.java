// SPDX-License-Identifier: Apache-2.0

/** Simulated silicon: memory, caches, processors, PCI Express and translation units. */
@org.jspecify.annotations.NullMarked
module org.iommu4j.sim {
    requires transitive org.iommu4j;
    requires static com.google.guice;
    requires static transitive org.jspecify;

    exports org.iommu4j.sim.amdvi;
    exports org.iommu4j.sim.cache;
    exports org.iommu4j.sim.cpu;
    exports org.iommu4j.sim.guice;
    exports org.iommu4j.sim.machine;
    exports org.iommu4j.sim.memory;
    exports org.iommu4j.sim.pcie;
    exports org.iommu4j.sim.spi;
    exports org.iommu4j.sim.trace;
    exports org.iommu4j.sim.verdict;
    exports org.iommu4j.sim.vtd;

    opens org.iommu4j.sim.guice to
            com.google.guice;

    uses org.iommu4j.sim.spi.TranslationUnitProvider;

    provides org.iommu4j.sim.spi.TranslationUnitProvider with
            org.iommu4j.sim.amdvi.AmdViUnitProvider,
            org.iommu4j.sim.vtd.VtdUnitProvider;
}
