// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import org.iommu4j.DomainType;
import org.iommu4j.riscv.fmt.DeviceContext;
import org.iommu4j.spi.DomainWithoutTables;

/** A domain that refuses every request, or passes every request unchanged. */
final class StaticDomain extends RiscvDomain implements DomainWithoutTables {
    StaticDomain(RiscvIommu iommu, DomainType type) {
        super(iommu, type);
    }

    @Override
    public String format() {
        return "riscv-none";
    }

    @Override
    long firstStage() {
        return DeviceContext.BARE;
    }

    @Override
    int tag() {
        return NO_TAG;
    }

    @Override
    void checkFits(RiscvUnit unit) {
        // every unit can
    }

    @Override
    void join(RiscvUnit unit) {
        // nothing is cached by a tag
    }

    @Override
    void leave(RiscvUnit unit) {
        // nothing is cached by a tag
    }

    @Override
    boolean isLast(RiscvUnit unit) {
        return false;
    }

    @Override
    void free() {
        // it has no frames
    }
}
