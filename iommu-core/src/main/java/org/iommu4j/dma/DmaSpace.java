// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import java.util.Arrays;
import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.ReservedRegion;
import org.iommu4j.bits.Hex;
import org.iommu4j.core.DefaultDomainCookie;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.core.IommuMapper;
import org.iommu4j.pci.PciAddress;
import org.jspecify.annotations.Nullable;

/**
 * The IOVAs of one default domain, shared by the devices of its group.
 *
 * <p>An address is reused only after a flush that began after its unmap has completed. A strict domain flushes at each
 * unmap. A lazy one puts the range into the {@link FlushQueue} of a CPU: all of the domain is flushed when a queue is
 * full, and 10 ms after the first range came. Until then the tables that became empty are kept, and the device may
 * still reach what was unmapped.
 *
 * <p>Locks, each taken before the next: {@link #flushLock}, which a flush holds while it awaits the unit; a queue's
 * own; {@link #lock}, for bookkeeping alone. Source: {@code struct iommu_dma_cookie}.
 */
final class DmaSpace implements DefaultDomainCookie {
    /** How long a range waits at most, in milliseconds. Source: {@code IOVA_DEFAULT_FQ_TIMEOUT}. */
    static final long TIMEOUT = 10;

    private static final long NOT_SET = Long.MAX_VALUE;

    private final IommuGroup group;
    private final IommuDomain domain;
    private final IovaAllocator iovas;
    private final int shift;
    private final Object lock = new Object();
    private final Object flushLock = new Object();
    private final int cpus;

    /** Null until the first range waits. */
    private volatile FlushQueue @Nullable [] queues;

    /** Flushes that were started, and the newest one that completed. */
    private volatile long flushesStarted;

    private volatile long flushCompleted;

    /** Tables that wait for the next flush. */
    private IotlbGather tables = new IotlbGather();

    /** Those of the flush that is under way, empty between flushes. */
    private IotlbGather flushing = new IotlbGather();

    private long now;

    /** When the timer ends. */
    private long deadline = NOT_SET;

    /** Gathers that no unmap is using. */
    private IotlbGather[] gathers = new IotlbGather[4];

    private int idleGathers;
    private int allGathers;

    DmaSpace(IommuDomain domain, IommuGroup group, DmaOptions options) {
        this.group = group;
        this.domain = domain;
        this.cpus = options.cpus();
        this.shift = Long.numberOfTrailingZeros(domain.pageSizes());
        this.iovas = new IovaAllocator(domain.apertureStart() >>> shift, lastPage(domain.apertureEnd()));
        if (group.devices().get(0).id() instanceof PciAddress) {
            reserveBridge(options);
        }
        for (ReservedRegion region : group.reservedRegions()) {
            reserve(region.start(), region.end());
        }
    }

    /**
     * Keeps what a host bridge does not pass on to memory. As in Linux, the first page of a range after a gap is kept
     * too. Source: {@code iova_reserve_pci_windows}.
     */
    private void reserveBridge(DmaOptions options) {
        options.bridgeWindows().forEach(window -> reserve(window.first(), window.last()));
        List<DmaOptions.Window> ranges = options.dmaRanges();
        long gap = 0;
        for (DmaOptions.Window range : ranges) {
            if (range.first() != gap) {
                reserve(gap, range.first());
            }
            gap = range.last() + 1;
        }
        if (!ranges.isEmpty() && gap != 0) {
            reserve(gap, -1L);
        }
    }

    private void reserve(long first, long last) {
        iovas.reserve(first >>> shift, last >>> shift);
    }

    /** Returns the size of the smallest page, in bytes. */
    long granule() {
        return 1L << shift;
    }

    /** Returns the page sizes as {@link IommuDomain#pageSizes()}. */
    long pageSizes() {
        return domain.pageSizes();
    }

    /** Returns the physical address of a mapped byte, or {@link IommuDomain#UNMAPPED}. */
    long translate(long iova) {
        return domain.translate(iova);
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
            giveBack(iova, size, failure);
            throw failure;
        }
    }

    /**
     * Maps pieces of memory one after the other to an allocated range, all or none; neighbours are mapped as one.
     *
     * @param starts where each piece begins, aligned to the granule
     * @param lengths bytes of each, multiples of the granule
     * @param total their sum
     */
    void mapPieces(long iova, long[] starts, long[] lengths, int count, long total, int prot) {
        long done = 0;
        try {
            int i = 0;
            while (i < count) {
                long start = starts[i];
                long length = lengths[i];
                for (i++; i < count && starts[i] == start + length; i++) {
                    length += lengths[i];
                }
                IommuMapper.mapNosync(domain, iova + done, start, length, prot);
                done += length;
            }
            domain.syncMap(iova, total);
        } catch (RuntimeException failure) {
            if (done != 0) {
                try {
                    IommuMapper.unmap(domain, iova, done);
                } catch (RuntimeException second) {
                    failure.addSuppressed(second);
                }
            }
            giveBack(iova, total, failure);
            throw failure;
        }
    }

    private void giveBack(long iova, long size, RuntimeException failure) {
        synchronized (lock) {
            iovas.retire(iova >>> shift, size >>> shift);
            if (!invalidationFailed(failure)) {
                iovas.free(iova >>> shift, size >>> shift);
            }
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

    /**
     * Unmaps a withdrawn range. Its address is free after the flush: in a strict domain at once, in a lazy one later.
     *
     * @throws IommuException ETIMEDOUT or EIO when a flush was due and did not complete: the range is unmapped, and its
     *     address is never used again; those that waited before go on waiting
     */
    void unmap(long iova, long size) {
        boolean lazy = group.type() == DefaultDomainPolicy.DMA_FQ;
        IotlbGather gather;
        synchronized (lock) {
            gather = takeGather();
        }
        boolean free = false;
        try {
            long unmapped = IommuMapper.unmapNosync(domain, iova, size, gather);
            if (lazy && unmapped == size) {
                queue(iova, size, gather);
            } else {
                if (!gather.isEmpty()) {
                    domain.sync(gather);
                }
                if (unmapped != size) {
                    throw new IllegalStateException(Hex.of(unmapped) + " bytes were mapped at 0x"
                            + Long.toHexString(iova) + ", expected 0x" + Long.toHexString(size));
                }
                free = true;
            }
        } finally {
            gather.reset();
            synchronized (lock) {
                gathers[idleGathers++] = gather;
                if (free) {
                    iovas.free(iova >>> shift, size >>> shift);
                }
            }
        }
    }

    /** Leaves a range and its empty tables to a later flush. Source: {@code queue_iova}. */
    private void queue(long iova, long size, IotlbGather gather) {
        while (!collected(gather)) {
            flush();
        }
        FlushQueue queue = queue();
        boolean queued = false;
        while (!queued) {
            synchronized (queue) {
                freeFlushed(queue);
                if (!queue.isFull()) {
                    queue.add(iova, size, flushesStarted);
                    queued = true;
                }
            }
            if (!queued) {
                flush();
            }
        }
        synchronized (lock) {
            if (deadline == NOT_SET) {
                deadline = now + TIMEOUT;
            }
        }
    }

    private boolean collected(IotlbGather gather) {
        if (gather.frameCount() == 0) {
            return true;
        }
        synchronized (lock) {
            return gather.moveFramesTo(tables);
        }
    }

    /** Has the hardware forget all of the domain, and frees the tables that waited. */
    private void flush() {
        synchronized (flushLock) {
            long number = flushesStarted + 1;
            flushesStarted = number;
            synchronized (lock) {
                IotlbGather waiting = tables;
                tables = flushing;
                flushing = waiting;
            }
            flushing.addRange(domain.apertureStart(), domain.apertureEnd());
            try {
                domain.sync(flushing);
            } finally {
                flushing.reset();
            }
            flushCompleted = number;
        }
    }

    private void freeFlushed(FlushQueue queue) {
        long completed = flushCompleted;
        if (!queue.hasFlushed(completed)) {
            return;
        }
        synchronized (lock) {
            while (queue.hasFlushed(completed)) {
                iovas.free(queue.iova() >>> shift, queue.size() >>> shift);
                queue.remove();
            }
        }
    }

    /**
     * Lets time pass. When the timer of the ranges that wait ends, all are flushed and free.
     *
     * <p>Source: {@code fq_flush_timeout}.
     *
     * @param milliseconds 0 or more
     * @throws IommuException ETIMEDOUT or EIO when the flush did not complete: the ranges go on waiting
     */
    void advance(long milliseconds) {
        synchronized (lock) {
            now += milliseconds;
            if (now < deadline) {
                return;
            }
            deadline = NOT_SET;
        }
        flush();
        for (FlushQueue queue : allQueues()) {
            synchronized (queue) {
                freeFlushed(queue);
            }
        }
    }

    /** Returns how many ranges wait for a flush. */
    int waiting() {
        int waiting = 0;
        for (FlushQueue queue : allQueues()) {
            synchronized (queue) {
                waiting += queue.waiting();
            }
        }
        return waiting;
    }

    @Override
    public void close() {
        synchronized (flushLock) {
            if (!tables.isEmpty()) {
                domain.sync(tables);
            }
        }
    }

    /** Java knows no CPUs; a thread always has the same queue. */
    private FlushQueue queue() {
        FlushQueue[] all = queues;
        if (all == null) {
            all = newQueues();
        }
        return all[(int) (Thread.currentThread().getId() % all.length)];
    }

    private FlushQueue[] allQueues() {
        FlushQueue[] all = queues;
        return all == null ? new FlushQueue[0] : all;
    }

    private FlushQueue[] newQueues() {
        synchronized (lock) {
            FlushQueue[] all = queues;
            if (all == null) {
                all = new FlushQueue[cpus];
                Arrays.setAll(all, i -> new FlushQueue());
                queues = all;
            }
            return all;
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
