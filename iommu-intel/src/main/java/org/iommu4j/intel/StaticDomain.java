// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.Optional;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.intel.fmt.ContextEntry;
import org.jspecify.annotations.Nullable;

/** A domain without tables: BLOCKED has no context entries, IDENTITY those of pass-through. */
final class StaticDomain extends IntelDomain {
    private final boolean identity;

    StaticDomain(IntelIommu iommu, DomainType type) {
        super(iommu, type);
        this.identity = type == DomainType.IDENTITY;
    }

    @Override
    public String format() {
        return identity ? "vtd-pass-through" : "vtd-blocked";
    }

    @Override
    public long pageSizes() {
        return 0;
    }

    @Override
    public long apertureEnd() {
        return -1L;
    }

    @Override
    public void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
        throw new IommuException(Errno.EINVAL, "a domain of " + type() + " has no page tables");
    }

    @Override
    public void syncMap(long iova, long size) {
        // Nothing was mapped.
    }

    @Override
    public long unmap(long iova, long size, IotlbGather gather) {
        return 0;
    }

    @Override
    public void sync(IotlbGather gather) {
        gather.reset();
    }

    @Override
    public long translate(long iova) {
        return identity ? iova : IommuDomain.UNMAPPED;
    }

    @Override
    public Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement() {
        return Optional.empty();
    }

    @Override
    @Nullable
    String misfit(IntelUnit unit) {
        return identity && !unit.ecap().passThrough() ? unit.name() + " has no pass-through (ECAP.PT is 0)" : null;
    }

    @Override
    int join(IntelUnit unit) {
        return IntelUnit.PASS_THROUGH_DOMAIN_ID;
    }

    @Override
    void leave(IntelUnit unit) {
        // The pass-through id is everybody's.
    }

    @Override
    long contextLow() {
        return identity ? ContextEntry.low(ContextEntry.TT_PASS_THROUGH, 0) : 0;
    }

    @Override
    long contextHigh(IntelUnit unit, int domainId) {
        // AW must be the widest that the unit supports: VT-d 9.3.
        int levels = 5;
        while (levels > 3 && !unit.cap().supportsLevels(levels)) {
            levels--;
        }
        return ContextEntry.high(levels, domainId);
    }

    @Override
    void invalidationFailed() {
        // There are no tables that a unit could go on using.
    }

    @Override
    void release() {
        // There is nothing to free.
    }
}
