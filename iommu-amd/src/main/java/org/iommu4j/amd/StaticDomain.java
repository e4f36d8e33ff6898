// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.DomainType;
import org.iommu4j.amd.fmt.DeviceTableEntry;
import org.iommu4j.spi.DomainWithoutTables;

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

    @Override
    boolean allowsPasids() {
        return isIdentity();
    }
}
