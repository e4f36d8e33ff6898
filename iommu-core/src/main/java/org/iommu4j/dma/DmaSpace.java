// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import java.util.Arrays;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.ReservedRegion;
import org.iommu4j.bits.Hex;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.core.IommuMapper;

/**
 * The IOVAs of one default domain, shared by the devices of its group.
 *
 * <p>An address is reused only after the unmap's invalidation has completed. One lock guards the bookkeeping; it is not
 * held while tables are written or while a unit is awaited.
 */
final class DmaSpace {
    private final IommuDomain domain;
    private final IovaAllocator iovas;
    private final int shift;
    private final Object lock = new Object();

    /** Gathers that no unmap is using. */
    private IotlbGather[] gathers = new IotlbGather[4];

    private int idleGathers;
    private int allGathers;

    DmaSpace(IommuDomain domain, IommuGroup group) {
        this.domain = domain;
        this.shift = Long.numberOfTrailingZeros(domain.pageSizes());
        this.iovas = new IovaAllocator(domain.apertureStart() >>> shift, lastPage(domain.apertureEnd()));
        for (ReservedRegion region : group.reservedRegions()) {
            iovas.reserve(region.start() >>> shift, region.end() >>> shift);
        }
    }

    /** Returns the size of the smallest page, in bytes. */
    long granule() {
        return 1L << shift;
    }

    /**
     * Allocates a range that ends at or below {@code lastByte}.
     *
     * @return its address, or {@link IovaAllocator#NONE}
     */
    long take(long size, long lastByte) {
        synchronized (lock) {
            long page = iovas.allocate(size >>> shift, lastPage(lastByte));
            return page == IovaAllocator.NONE ? IovaAllocator.NONE : page << shift;
        }
    }

    /** Maps an allocated range; on failure the range is freed, unless the hardware may still use it. */
    void map(long iova, long physicalAddress, long size, int prot) {
        try {
            IommuMapper.map(domain, iova, physicalAddress, size, prot);
        } catch (RuntimeException failure) {
            synchronized (lock) {
                iovas.retire(iova >>> shift, size >>> shift);
                if (!invalidationFailed(failure)) {
                    iovas.free(iova >>> shift, size >>> shift);
                }
            }
            throw failure;
        }
    }

    /**
     * Withdraws a range, so that it can't be unmapped twice.
     *
     * @throws IommuException EINVAL when no range was mapped like this
     */
    void withdraw(long iova, long size) {
        synchronized (lock) {
            if (!iovas.isGiven(iova >>> shift, size >>> shift)) {
                throw new IommuException(
                        Errno.EINVAL,
                        "unmap of 0x" + Long.toHexString(size) + " bytes at 0x" + Long.toHexString(iova)
                                + ", expected a range as it was mapped");
            }
            iovas.retire(iova >>> shift, size >>> shift);
        }
    }

    /** Unmaps a withdrawn range, invalidates it, and only then frees its address. */
    void unmap(long iova, long size) {
        IotlbGather gather;
        synchronized (lock) {
            gather = takeGather();
        }
        boolean invalidated = false;
        try {
            long unmapped = IommuMapper.unmap(domain, iova, size, gather);
            if (unmapped != size) {
                throw new IllegalStateException(Hex.of(unmapped) + " bytes were mapped at 0x" + Long.toHexString(iova)
                        + ", expected 0x" + Long.toHexString(size));
            }
            invalidated = true;
        } finally {
            gather.reset();
            synchronized (lock) {
                gathers[idleGathers++] = gather;
                if (invalidated) {
                    iovas.free(iova >>> shift, size >>> shift);
                }
            }
        }
    }

    private IotlbGather takeGather() {
        if (idleGathers != 0) {
            return gathers[--idleGathers];
        }
        if (++allGathers > gathers.length) {
            gathers = Arrays.copyOf(gathers, gathers.length * 2);
        }
        return new IotlbGather();
    }

    private long lastPage(long lastByte) {
        long page = lastByte >>> shift;
        return (lastByte & (granule() - 1)) == granule() - 1 ? page : page - 1;
    }

    /** Returns whether the hardware may still reach the range after this failure. */
    static boolean invalidationFailed(RuntimeException failure) {
        if (isTimeOut(failure)) {
            return true;
        }
        for (Throwable second : failure.getSuppressed()) {
            if (isTimeOut(second)) {
                return true;
            }
        }
        return false;
    }

    private static boolean isTimeOut(Throwable failure) {
        return failure instanceof IommuException refusal
                && (refusal.errno() == Errno.ETIMEDOUT || refusal.errno() == Errno.EIO);
    }
}
