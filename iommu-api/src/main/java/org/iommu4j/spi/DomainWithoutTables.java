// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.Objects;
import java.util.Optional;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.capability.CacheCoherencyEnforcement;

/**
 * A domain that has no page tables of its own: BLOCKED, in which every request faults, IDENTITY, which changes no
 * address, or NESTED, whose table the guest writes.
 *
 * <p>The same in every driver: nothing can be mapped (EINVAL), nothing is unmapped, and no-snoop is not blocked.
 */
public interface DomainWithoutTables extends IommuDomain {
    /**
     * Throws when the domain or its driver is closed.
     *
     * @throws IommuException ENODEV
     */
    void checkOpen();

    @Override
    default long pageSizes() {
        return 0;
    }

    @Override
    default long apertureEnd() {
        return -1L;
    }

    @Override
    default void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
        checkOpen();
        throw new IommuException(Errno.EINVAL, "a domain of type " + type() + " has no page tables");
    }

    @Override
    default void syncMap(long iova, long size) {
        checkOpen();
    }

    @Override
    default long unmap(long iova, long size, IotlbGather gather) {
        Objects.requireNonNull(gather, "gather");
        checkOpen();
        return 0;
    }

    @Override
    default void sync(IotlbGather gather) {
        Objects.requireNonNull(gather, "gather");
        checkOpen();
        gather.reset();
    }

    @Override
    default long translate(long iova) {
        checkOpen();
        return type() == DomainType.IDENTITY ? iova : UNMAPPED;
    }

    @Override
    default Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement() {
        return Optional.empty();
    }
}
