// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import java.util.Objects;
import java.util.Optional;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Hex;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.platform.SystemMemory;
import org.jspecify.annotations.Nullable;

/**
 * A domain, with page tables if its type has them.
 *
 * <p>Mapping takes no lock. Threads that work on disjoint ranges meet only where both lack a page table, and the
 * compare-and-set decides; one is taken out only by a thread whose range has all of its pages.
 */
final class MinimalDomain implements IommuDomain, CacheCoherencyEnforcement {
    private static final BitField PASSES = BitField.bit(0, "P");
    private static final BitField TRANSLATES = BitField.bit(1, "T");
    private static final BitField PRESENT = BitField.bit(0, "P");
    private static final BitField RIGHTS = BitField.bits(1, 0, "W, R");
    private static final BitField ADDRESS = BitField.bits(39, 12, "ADDRESS");

    private static final long PAGE = SystemMemory.FRAME_SIZE;
    private static final long SPAN = 2 << 20; // bytes of addresses that a page table covers
    private static final int TOP_ORDER = 2; // a top table has 2^2 frames
    private static final long LAST = (1L << 32) - 1;
    private static final long LAST_PHYSICAL = (1L << 40) - 1;
    private static final long NOWHERE = -1; // where a word is whose page table is not there

    private final MinimalIommu iommu;
    private final DomainType type;
    private final SystemMemory memory;
    private final long top;
    boolean leftBehind; // the unit may use the tables for ever; guarded by the driver's monitor
    volatile boolean closed; // set in the driver's monitor

    /** Makes a domain in which nothing is mapped, or throws ENOMEM. */
    MinimalDomain(MinimalIommu iommu, DomainType type) {
        this.iommu = iommu;
        this.type = type;
        memory = iommu.context.memory();
        top = type.isPaging() ? MinimalIommu.zeroed(iommu.context, TOP_ORDER) : 0;
    }

    @Override
    public DomainType type() {
        return type;
    }

    @Override
    public MinimalIommu iommu() {
        return iommu;
    }

    @Override
    public String format() {
        return type.isPaging() ? "minimal" : "minimal-none";
    }

    @Override
    public long pageSizes() {
        return type.isPaging() ? PAGE : 0;
    }

    @Override
    public long apertureEnd() {
        return type.isPaging() ? LAST : -1L;
    }

    @Override
    public AttachResult attach(IommuDevice device) {
        iommu.attach(device, this);
        return AttachResult.ATTACHED;
    }

    @Override
    public void detach(IommuDevice device) {
        iommu.detach(device, this);
    }

    /** Returns the word of its devices in the device table. */
    long deviceTableWord() {
        return type.isPaging() ? TRANSLATES.mask() | top : type == DomainType.IDENTITY ? PASSES.mask() : 0;
    }

    /** Throws ENODEV when the domain or its driver is closed. */
    void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.ENODEV, "the domain is closed");
        }
    }

    private long topWordAt(long iova) {
        return top + iova / SPAN * Long.BYTES;
    }

    /** Returns the physical address of a page's word, or {@link #NOWHERE}. */
    private long wordAt(long iova) {
        long topWord = memory.load(topWordAt(iova));
        return PRESENT.isSet(topWord) ? ADDRESS.getInPlace(topWord) + iova % SPAN / PAGE * Long.BYTES : NOWHERE;
    }

    /** Returns how many pages of a range, from an address in it on, are in the same page table. */
    private static int pages(long at, long last) {
        return (int) ((Math.min(at | (SPAN - 1), last) - at) / PAGE) + 1;
    }

    @Override
    public long translate(long iova) {
        checkOpen();
        if (!type.isPaging()) {
            return type == DomainType.IDENTITY ? iova : UNMAPPED;
        }
        long wordAt = iova < 0 || iova > LAST ? NOWHERE : wordAt(iova);
        long word = wordAt == NOWHERE ? 0 : memory.load(wordAt);
        return RIGHTS.isSet(word) ? ADDRESS.getInPlace(word) | (iova & (PAGE - 1)) : UNMAPPED;
    }

    @Override
    public void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
        checkOpen();
        check(iova, physicalAddress, pageSize, count, prot);
        long last = iova + count * PAGE - 1;
        for (long at = iova; at <= last; at += pages(at, last) * PAGE) {
            long wordAt = wordAt(at);
            int pages = pages(at, last);
            int free = wordAt == NOWHERE ? pages : memory.leadingClear(wordAt, RIGHTS.mask(), pages);
            refuseIf(free < pages, Errno.EADDRINUSE, at + free * PAGE, "mapped already");
        }
        for (long at = iova; at <= last; at += pages(at, last) * PAGE) {
            addTable(at);
        }
        // From here on nothing fails. The rights are in the same bits as READ and WRITE.
        long first = physicalAddress | (prot & Prot.READ_WRITE);
        for (long at = iova; at <= last; at += pages(at, last) * PAGE) {
            memory.storeRun(wordAt(at), first + (at - iova), PAGE, pages(at, last));
        }
    }

    private void check(long iova, long physicalAddress, long pageSize, long count, int prot) {
        refuseIf(!type.isPaging(), Errno.EINVAL, iova, "a domain without page tables");
        refuseIf((prot & Prot.READ_WRITE) == 0, Errno.EINVAL, iova, "neither READ nor WRITE");
        refuseIf(pageSize != PAGE, Errno.ENXIO, iova, "pages have 4096 bytes");
        refuseIf(((iova | physicalAddress) & (PAGE - 1)) != 0 || count < 1, Errno.EINVAL, iova, "misaligned or empty");
        refuseIf(iova < 0 || iova > LAST || count > (LAST - iova + 1) / PAGE, Errno.ERANGE, iova, "beyond 32 bits");
        long lastByte = physicalAddress + count * PAGE - 1;
        refuseIf((physicalAddress | lastByte) > LAST_PHYSICAL || lastByte < 0, Errno.ERANGE, iova, "beyond 40 bits");
    }

    private static void refuseIf(boolean wrong, Errno errno, long iova, String why) {
        if (wrong) {
            throw new IommuException(errno, "map at " + Hex.of(iova) + ": " + why);
        }
    }

    /** Adds the page table for an address unless there is one. After an error it stays, empty. */
    private void addTable(long iova) {
        if (wordAt(iova) == NOWHERE) {
            long table = MinimalIommu.zeroed(iommu.context, 0);
            if (!memory.compareAndSet(topWordAt(iova), 0, table | PRESENT.mask())) {
                iommu.context.frames().free(table, 0);
            }
        }
    }

    /** The unit does not cache that a word is not present. */
    @Override
    public void syncMap(long iova, long size) {
        checkOpen();
    }

    @Override
    public long unmap(long iova, long size, IotlbGather gather) {
        Objects.requireNonNull(gather, "gather");
        checkOpen();
        long last = iova + size - 1;
        if (!type.isPaging() || ((iova | size) & (PAGE - 1)) != 0 || iova < 0 || last < iova || last > LAST) {
            return 0;
        }
        long at = iova;
        while (at <= last) {
            long wordAt = wordAt(at);
            int run = wordAt == NOWHERE ? 0 : memory.leadingSet(wordAt, RIGHTS.mask(), pages(at, last));
            if (run == 0) {
                break; // a hole
            }
            memory.storeRun(wordAt, 0, 0, run);
            at += run * PAGE;
            if (at % SPAN == 0 && at - iova >= SPAN) {
                long table = wordAt(at - SPAN);
                memory.store(topWordAt(at - SPAN), 0);
                if (!gather.addFrame(table, 0)) {
                    flush(gather);
                    gather.addFrame(table, 0);
                }
            }
        }
        if (at != iova) {
            gather.addRange(iova, at - 1);
        }
        return at - iova;
    }

    @Override
    public void sync(IotlbGather gather) {
        checkOpen();
        Errno errno = gather.isEmpty() ? null : flush(gather);
        if (errno != null) {
            throw new IommuException(errno, "sync: the unit did not flush");
        }
    }

    /** Has the unit forget all, and empties the gather; returns null, or why the unit did not. */
    private @Nullable Errno flush(IotlbGather gather) {
        Errno errno = iommu.unit.flush();
        for (int i = 0; i < gather.frameCount(); i++) {
            iommu.free(gather.frame(i), 0, errno == null);
        }
        gather.reset();
        return errno;
    }

    @Override
    public Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement() {
        return type.isPaging() && iommu.snoopControl ? Optional.of(this) : Optional.empty();
    }

    /** The unit does it for all domains with tables. */
    @Override
    public boolean enforce() {
        checkOpen();
        return true;
    }

    @Override
    public void close() {
        iommu.close(this);
    }

    /** Gives its frames back, or quarantines them. */
    void free() {
        if (type.isPaging()) {
            for (long iova = 0; iova < LAST; iova += SPAN) {
                if (wordAt(iova) != NOWHERE) {
                    iommu.free(wordAt(iova), 0, !leftBehind);
                }
            }
            iommu.free(top, TOP_ORDER, !leftBehind);
        }
    }
}
