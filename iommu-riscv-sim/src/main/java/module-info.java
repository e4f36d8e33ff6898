// SPDX-License-Identifier: Apache-2.0

/** The silicon of the RISC-V IOMMU. */
@org.jspecify.annotations.NullMarked
module org.iommu4j.riscv.sim {
    requires transitive org.iommu4j.sim;
    requires static org.jspecify;

    exports org.iommu4j.riscv.sim;

    provides org.iommu4j.sim.spi.TranslationUnitProvider with
            org.iommu4j.riscv.sim.RiscvSilicon;
}
