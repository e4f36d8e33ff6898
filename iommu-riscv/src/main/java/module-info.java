// SPDX-License-Identifier: Apache-2.0

/**
 * The RISC-V IOMMU driver.
 *
 * <p>It exports only the vendor that {@link java.util.ServiceLoader} finds.
 */
@org.jspecify.annotations.NullMarked
module org.iommu4j.riscv {
    requires transitive org.iommu4j;
    requires static org.jspecify;
    requires org.slf4j;

    exports org.iommu4j.riscv;

    provides org.iommu4j.spi.IommuVendor with
            org.iommu4j.riscv.RiscvVendor;
}
