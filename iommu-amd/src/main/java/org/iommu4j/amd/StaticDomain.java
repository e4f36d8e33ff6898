// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.Objects;
import java.util.Optional;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.amd.fmt.DeviceTableEntry;
import org.iommu4j.capability.CacheCoherencyEnforcement;

/** A domain without page tables: every access faults, or every address passes unchanged. */
final class StaticDomain extends AmdDomain {
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
    public long pageSizes() {
        return 0;
    }

    @Override
    public long apertureEnd() {
        return -1L;
    }

    @Override
    public void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
        checkOpen();
        throw new IommuException(Errno.EINVAL, "map: a domain of type " + type() + " has no page tables");
    }

    @Override
    public void syncMap(long iova, long size) {
        // Nothing is ever mapped.
        checkOpen();
    }

    @Override
    public long unmap(long iova, long size, IotlbGather gather) {
        Objects.requireNonNull(gather, "gather");
        checkOpen();
        return 0;
    }

    @Override
    public void sync(IotlbGather gather) {
        // Nothing is ever unmapped.
        Objects.requireNonNull(gather, "gather");
        checkOpen();
    }

    @Override
    public long translate(long iova) {
        checkOpen();
        return isIdentity() ? iova : UNMAPPED;
    }

    @Override
    public Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement() {
        return Optional.empty();
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
