// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import java.util.Objects;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.bits.Hex;

/**
 * Maps and unmaps ranges of any size in a domain, split into runs of the domain's page sizes.
 *
 * <p>A range may end at the top of the address space, where {@code iova + size} wraps to 0. Allocates nothing unless
 * something fails. Thread-safe under the rule of {@link IommuDomain}: concurrent calls must have disjoint ranges.
 * Source: {@code iommu_map}, {@code iommu_unmap} and {@code iommu_pgsize}; errnos as in Linux's generic page tables.
 */
public final class IommuMapper {
    private IommuMapper() {}

    /**
     * Maps a range and makes the hardware see it; all or nothing.
     *
     * @param domain a domain with page tables
     * @param iova the first I/O virtual address, aligned to the domain's smallest page
     * @param physicalAddress the first physical address, aligned likewise
     * @param size bytes, above 0 and aligned likewise
     * @param prot {@link org.iommu4j.Prot} bits with READ, WRITE or both
     * @throws IommuException EINVAL (no page tables, misaligned, size 0, neither READ nor WRITE), EOVERFLOW (the range
     *     wraps around), ENXIO (no page size), ERANGE (wider than the table), EADDRINUSE (a page is mapped already),
     *     ENOMEM; ETIMEDOUT or EIO when an invalidation did not complete: the mapping is undone
     */
    public static void map(IommuDomain domain, long iova, long physicalAddress, long size, int prot) {
        mapNosync(domain, iova, physicalAddress, size, prot);
        try {
            domain.syncMap(iova, size);
        } catch (RuntimeException failure) {
            takeBack(domain, iova, size, failure);
            throw failure;
        }
    }

    /**
     * Maps a range, all or nothing, and leaves {@link IommuDomain#syncMap} to the caller.
     *
     * @throws IommuException as {@link #map}, without ETIMEDOUT and EIO
     */
    public static void mapNosync(IommuDomain domain, long iova, long physicalAddress, long size, int prot) {
        checkMap(domain, iova, physicalAddress, size);
        long pageSizes = domain.pageSizes();
        long done = 0;
        try {
            while (done != size) {
                long left = size - done;
                long pageSize = pageSize(pageSizes, iova + done, physicalAddress + done, left);
                long count = count(pageSizes, iova + done, physicalAddress + done, left, pageSize);
                domain.map(iova + done, physicalAddress + done, pageSize, count, prot);
                done += pageSize * count;
            }
        } catch (RuntimeException failure) {
            if (done != 0) {
                takeBack(domain, iova, done, failure);
            }
            throw failure;
        }
    }

    /**
     * Unmaps a range and invalidates it.
     *
     * @param gather an empty gather of the caller's; it is empty again afterwards
     * @return bytes unmapped, as {@link IommuDomain#unmap}: fewer than asked at a hole, more when the range ends inside
     *     a page; 0 when the domain has no page tables, or the range is misaligned, empty or wraps around
     * @throws IommuException ETIMEDOUT or EIO when the invalidation did not complete: the range is unmapped, but the
     *     hardware may still use it
     */
    public static long unmap(IommuDomain domain, long iova, long size, IotlbGather gather) {
        Objects.requireNonNull(domain, "domain");
        Objects.requireNonNull(gather, "gather");
        long unmapped = unmapNosync(domain, iova, size, gather);
        if (!gather.isEmpty()) {
            domain.sync(gather);
        }
        return unmapped;
    }

    /** Unmaps and invalidates a range like {@link #unmap(IommuDomain, long, long, IotlbGather)}, with a new gather. */
    public static long unmap(IommuDomain domain, long iova, long size) {
        return unmap(domain, iova, size, new IotlbGather());
    }

    /**
     * Unmaps a range and leaves {@link IommuDomain#sync} to the caller.
     *
     * @return as {@link #unmap(IommuDomain, long, long, IotlbGather)}
     */
    public static long unmapNosync(IommuDomain domain, long iova, long size, IotlbGather gather) {
        Objects.requireNonNull(domain, "domain");
        Objects.requireNonNull(gather, "gather");
        long pageSizes = domain.type().isPaging() ? domain.pageSizes() : 0;
        long smallest = Long.lowestOneBit(pageSizes);
        if (smallest == 0 || size == 0 || ((iova | size) & (smallest - 1)) != 0 || wraps(iova, size)) {
            return 0;
        }
        return domain.unmap(iova, size, gather);
    }

    /** Returns the largest page that fits the size and the common alignment; the arguments are checked. */
    static long pageSize(long pageSizes, long iova, long physicalAddress, long size) {
        long fitting = pageSizes & upTo(Long.highestOneBit(size));
        long alignment = Long.lowestOneBit(iova | physicalAddress);
        if (alignment != 0) {
            fitting &= upTo(alignment);
        }
        return Long.highestOneBit(fitting);
    }

    /**
     * Returns how many such pages to map in one run: all, or up to the boundary from which a larger page fits.
     */
    static long count(long pageSizes, long iova, long physicalAddress, long size, long pageSize) {
        int shift = Long.numberOfTrailingZeros(pageSize);
        long larger = Long.lowestOneBit(pageSizes & ~upTo(pageSize));
        if (larger != 0 && ((iova ^ physicalAddress) & (larger - 1)) == 0) {
            long toBoundary = larger - (iova & (larger - 1));
            long throughLarger = toBoundary + larger;
            if (Long.compareUnsigned(throughLarger, toBoundary) > 0 && Long.compareUnsigned(throughLarger, size) <= 0) {
                return toBoundary >>> shift;
            }
        }
        return size >>> shift;
    }

    private static void checkMap(IommuDomain domain, long iova, long physicalAddress, long size) {
        if (!domain.type().isPaging()) {
            throw new IommuException(Errno.EINVAL, "a " + domain.type() + " domain has no page tables to map in");
        }
        long smallest = Long.lowestOneBit(domain.pageSizes());
        if (smallest == 0) {
            throw new IommuException(Errno.ENXIO, "the domain (" + domain.format() + ") has no page size");
        }
        if (size == 0 || ((iova | physicalAddress | size) & (smallest - 1)) != 0) {
            throw new IommuException(
                    Errno.EINVAL,
                    "mapping of " + Hex.of(size) + " bytes at IOVA " + Hex.of(iova) + " to " + Hex.of(physicalAddress)
                            + ", expected a size above 0 and all aligned to " + Hex.of(smallest));
        }
        if (wraps(iova, size) || wraps(physicalAddress, size)) {
            throw new IommuException(
                    Errno.EOVERFLOW,
                    "mapping of " + Hex.of(size) + " bytes at IOVA " + Hex.of(iova) + " to " + Hex.of(physicalAddress)
                            + " goes beyond the end of the address space");
        }
    }

    private static void takeBack(IommuDomain domain, long iova, long size, RuntimeException failure) {
        try {
            unmap(domain, iova, size);
        } catch (RuntimeException second) {
            failure.addSuppressed(second);
        }
    }

    /** Tests the last byte and not the end: the end of the topmost range is 0. */
    private static boolean wraps(long start, long size) {
        return Long.compareUnsigned(start + (size - 1), start) < 0;
    }

    private static long upTo(long bit) {
        return bit | (bit - 1);
    }
}
