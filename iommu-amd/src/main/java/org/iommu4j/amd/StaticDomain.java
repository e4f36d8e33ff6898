// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.List;
import org.iommu4j.DomainType;
import org.iommu4j.amd.fmt.DeviceTableEntry;
import org.iommu4j.spi.DomainWithoutTables;
import org.jspecify.annotations.Nullable;

/** A domain without page tables: every access faults, or every address passes unchanged. */
final class StaticDomain extends AmdDomain implements DomainWithoutTables {
    StaticDomain(DriverState driver, Attacher attacher, DomainType type, int id) {
        super(driver, attacher, type, id);
    }

    private boolean isIdentity() {
        return type() == DomainType.IDENTITY;
    }

    @Override
    public String format() {
        return "amd-none";
    }

    @Override
    long entryWord0() {
        return isIdentity() ? DeviceTableEntry.IDENTITY : DeviceTableEntry.BLOCKED;
    }

    @Override
    long entryWord1() {
        return isIdentity() && driver().rules().passThroughEntryWrong() ? DeviceTableEntry.I.mask() : id();
    }

    /** SNP may need host tables ({@code amd_iommu_identity_attach}). */
    @Override
    @Nullable
    String refuses(AmdUnit unit, List<Attachment> pasids) {
        return isIdentity() && driver().features().needsHostTables() ? "SNP is on, which needs host tables" : null;
    }

    @Override
    boolean allowsPasids() {
        return isIdentity();
    }
}
