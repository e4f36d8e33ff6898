// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import org.iommu4j.DomainType;
import org.iommu4j.spi.DomainWithoutTables;

/** A domain that refuses every request, or passes every request unchanged. */
final class StaticDomain extends RiscvDomain implements DomainWithoutTables {
    StaticDomain(DriverState driver, Attacher attacher, DomainType type) {
        super(driver, attacher, type);
    }

    @Override
    public String format() {
        return "riscv-none";
    }
}
