// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.DomainType;
import org.iommu4j.intel.fmt.ContextEntry;
import org.iommu4j.intel.fmt.PasidEntry;
import org.iommu4j.spi.DomainWithoutTables;
import org.jspecify.annotations.Nullable;

/** A domain without tables: BLOCKED has no entries, IDENTITY has pass-through entries, which let no-snoop pass. */
final class StaticDomain extends IntelDomain implements DomainWithoutTables {
    private final boolean identity;

    StaticDomain(DriverState driver, DomainType type) {
        super(driver, type, false, null);
        this.identity = type == DomainType.IDENTITY;
    }

    @Override
    public String format() {
        return identity ? "vtd-pass-through" : "vtd-blocked";
    }

    @Override
    @Nullable
    String misfit(IntelDevice device, int pasid) {
        IntelUnit unit = device.unit();
        return identity && !unit.ecap().passThrough() ? unit.name() + " has no pass-through (ECAP.PT is 0)" : null;
    }

    @Override
    int join(IntelDevice device, int pasid) {
        return DomainIds.PASS_THROUGH;
    }

    @Override
    void leave(IntelDevice device, int pasid) {
        // All identity domains share the pass-through id.
    }

    @Override
    boolean translates() {
        return false;
    }

    @Override
    long[] entry(IntelDevice device, int domainId) {
        if (!identity) {
            return new long[0];
        }
        IntelUnit unit = device.unit();
        // AW must be the widest that the unit supports: VT-d 9.3.
        int levels = unit.cap().mostLevels();
        if (!unit.isScalable()) {
            return new long[] {ContextEntry.low(ContextEntry.TT_PASS_THROUGH, 0), ContextEntry.high(levels, domainId)};
        }
        return new long[] {
            PasidEntry.word0(PasidEntry.PGTT_PASS_THROUGH, levels, 0, false),
            PasidEntry.word1(domainId, unit.walksCoherently(), false),
            0
        };
    }

    @Override
    void invalidationFailed() {
        // It has no tables that a unit could go on using.
    }

    @Override
    void release() {
        // There is nothing to free.
    }
}
