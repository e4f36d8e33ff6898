// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import java.util.Objects;
import java.util.Optional;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Hex;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;

/**
 * A domain with page tables.
 *
 * <p>Mapping takes no lock but the unit's, for an invalidation. Threads that work on disjoint ranges meet only where
 * both lack a table, and the first compare-and-set decides; a table is taken out only by a thread whose range has all
 * that the table covers.
 */
final class PagingDomain extends MinimalDomain {
    /** The last address that the tables translate. */
    static final long LAST = (1L << shift(4)) - 1;

    private static final BitField R = BitField.bit(0, "R");
    private static final BitField W = BitField.bit(1, "W");
    private static final BitField T = BitField.bit(2, "T");
    private static final BitField TO = BitField.bits(51, 12, "TO");
    private static final long LEAF = R.mask() | W.mask();
    private static final int PHYSICAL_BITS = 52;
    private static final int TOP_LEVEL = 3;
    private static final long PAGE = SystemMemory.FRAME_SIZE;

    private final SystemMemory memory;
    private final FrameAllocator frames;
    private final Unit unit;
    private final Optional<CacheCoherencyEnforcement> enforcement;

    private PagingDomain(MinimalIommu iommu, DomainType type, long top) {
        super(iommu, type, top);
        memory = iommu.context.memory();
        frames = iommu.context.frames();
        unit = iommu.unit;
        enforcement = iommu.snoopControl ? Optional.of(this::enforce) : Optional.empty();
    }

    /**
     * Makes a domain in which nothing is mapped.
     *
     * @throws IommuException ENOMEM
     */
    static PagingDomain allocate(MinimalIommu iommu, DomainType type) {
        return new PagingDomain(iommu, type, MinimalIommu.zeroed(iommu.context, 0));
    }

    @Override
    public String format() {
        return "minimal";
    }

    @Override
    public long pageSizes() {
        return PAGE;
    }

    @Override
    public long apertureEnd() {
        return LAST;
    }

    // --- the tables ---

    /** Returns log2 of the bytes that an entry of a level covers. */
    private static int shift(int level) {
        return 12 + (level - 1) * 9;
    }

    /** Returns the address of an IOVA's entry of a level, or of the one above that is missing; the level is added. */
    private long find(long iova, int level) {
        long table = top();
        for (int at = TOP_LEVEL; ; at--) {
            long entryAt = table + (iova >>> shift(at) & (SystemMemory.FRAME_WORDS - 1)) * Long.BYTES;
            long entry = at == level ? 0 : memory.load(entryAt);
            if (!T.isSet(entry)) {
                return entryAt | at;
            }
            table = TO.getInPlace(entry);
        }
    }

    private static int level(long found) {
        return (int) found & (Long.BYTES - 1);
    }

    private static long entryAt(long found) {
        return found & -Long.BYTES;
    }

    /** Returns the last address of a range that is below the same entry of a level as its address {@code at}. */
    private static long lastBelow(int level, long at, long last) {
        return Math.min(at | ((1L << shift(level)) - 1), last);
    }

    private static int pages(long first, long last) {
        return (int) ((last - first) / PAGE) + 1;
    }

    @Override
    public long translate(long iova) {
        checkOpen();
        long entry = iova < 0 || iova > LAST ? 0 : memory.load(entryAt(find(iova, 1)));
        return (entry & LEAF) == 0 ? UNMAPPED : TO.getInPlace(entry) | (iova & (PAGE - 1));
    }

    // --- mapping ---

    @Override
    public void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
        checkOpen();
        check(iova, physicalAddress, pageSize, count, prot);
        long last = iova + count * PAGE - 1;
        long missing = 0;
        for (long at = iova, end; at <= last; at = end + 1) {
            long found = find(at, 1);
            end = lastBelow(Math.max(level(found), 2), at, last);
            if (level(found) > 1) {
                missing += (end >>> shift(2)) - (at >>> shift(2)) + level(found) - 1;
            } else {
                int free = memory.leadingClear(entryAt(found), LEAF, pages(at, end));
                refuseIf(free < pages(at, end), Errno.EADDRINUSE, at + free * PAGE, "mapped already");
            }
        }
        long spare = take(missing);
        // From here on nothing fails. The rights are in the same bits as READ and WRITE.
        long leaf = physicalAddress | (prot & Prot.READ_WRITE);
        for (long at = iova; at <= last; ) {
            long found = find(at, 1);
            if (level(found) > 1) {
                spare = link(entryAt(found), spare);
            } else {
                long end = lastBelow(2, at, last);
                memory.storeRun(entryAt(found), leaf + (at - iova), PAGE, pages(at, end));
                at = end + 1;
            }
        }
        release(spare);
    }

    private static void check(long iova, long physicalAddress, long pageSize, long count, int prot) {
        refuseIf((prot & Prot.READ_WRITE) == 0, Errno.EINVAL, iova, "neither READ nor WRITE");
        refuseIf(pageSize != PAGE, Errno.ENXIO, iova, "pages have 4096 bytes");
        refuseIf(((iova | physicalAddress) & (PAGE - 1)) != 0 || count < 1, Errno.EINVAL, iova, "misaligned or empty");
        refuseIf(iova < 0 || iova > LAST || count > (LAST - iova + 1) / PAGE, Errno.ERANGE, iova, "beyond 39 bits");
        long lastByte = physicalAddress + count * PAGE - 1;
        refuseIf((physicalAddress | lastByte) >>> PHYSICAL_BITS != 0, Errno.ERANGE, iova, "memory beyond 52 bits");
    }

    private static void refuseIf(boolean wrong, Errno errno, long iova, String why) {
        if (wrong) {
            throw new IommuException(errno, "map at " + Hex.of(iova) + ": " + why);
        }
    }

    /** Takes empty frames, all or none, in a chain through their first words. */
    private long take(long count) {
        long chain = 0;
        try {
            for (long i = 0; i < count; i++) {
                long frame = MinimalIommu.zeroed(iommu().context, 0);
                memory.store(frame, chain);
                chain = frame;
            }
        } catch (IommuException e) {
            release(chain);
            throw e;
        }
        return chain;
    }

    /** Links the first table of a chain, unless another thread was first; returns the rest. */
    private long link(long entryAt, long chain) {
        long rest = memory.load(chain);
        memory.store(chain, 0);
        if (memory.compareAndSet(entryAt, 0, chain | T.mask())) {
            return rest;
        }
        memory.store(chain, rest);
        return chain;
    }

    private void release(long chain) {
        for (long frame = chain; frame != 0; ) {
            long next = memory.load(frame);
            frames.free(frame, 0);
            frame = next;
        }
    }

    /** The unit does not cache that a word is not present. */
    @Override
    public void syncMap(long iova, long size) {
        checkOpen();
    }

    // --- unmapping ---

    @Override
    public long unmap(long iova, long size, IotlbGather gather) {
        Objects.requireNonNull(gather, "gather");
        checkOpen();
        long last = iova + size - 1;
        if (((iova | size) & (PAGE - 1)) != 0 || iova < 0 || last < iova || last > LAST) {
            return 0;
        }
        long at = iova;
        while (at <= last) {
            long found = find(at, 1);
            int run = level(found) > 1 ? 0 : memory.leadingSet(entryAt(found), LEAF, pages(at, lastBelow(2, at, last)));
            if (run == 0) {
                break; // a hole
            }
            memory.storeRun(entryAt(found), 0, 0, run);
            at += run * PAGE;
            takeOutCovered(iova, at, gather);
        }
        if (at != iova) {
            gather.addRange(iova, at - 1);
        }
        return at - iova;
    }

    /** Takes out the tables that end where the unmapped range does, and that it covers. */
    private void takeOutCovered(long iova, long end, IotlbGather gather) {
        for (int level = 2; level <= TOP_LEVEL; level++) {
            long start = end - (1L << shift(level));
            if ((end & ((1L << shift(level)) - 1)) != 0 || start < iova) {
                return;
            }
            long entryAt = entryAt(find(start, level));
            long table = TO.getInPlace(memory.load(entryAt));
            memory.store(entryAt, 0);
            if (!gather.addFrame(table, 0)) {
                forget(gather, 0, LAST);
                gather.addFrame(table, 0);
            }
        }
    }

    @Override
    public void sync(IotlbGather gather) {
        checkOpen();
        boolean wasBroken = unit.isBroken();
        if (!gather.isEmpty() && !forget(gather, gather.start(), gather.end())) {
            throw Unit.refusal(wasBroken, "sync");
        }
    }

    /** Has the unit forget a range, and empties the gather; returns whether the unit did. */
    private boolean forget(IotlbGather gather, long first, long last) {
        boolean forgotten = unit.forgetPages(top(), first, last);
        for (int i = 0; i < gather.frameCount(); i++) {
            release(gather.frame(i), forgotten);
        }
        gather.reset();
        return forgotten;
    }

    // --- no-snoop, and the end ---

    @Override
    public Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement() {
        return enforcement;
    }

    /** The unit does it for all domains with tables. */
    private boolean enforce() {
        checkOpen();
        return true;
    }

    @Override
    void free(boolean forgotten) {
        free(top(), TOP_LEVEL, forgotten);
    }

    private void free(long table, int level, boolean forgotten) {
        for (long at = table; level > 1 && at < table + PAGE; at += Long.BYTES) {
            long entry = memory.load(at);
            if (T.isSet(entry)) {
                free(TO.getInPlace(entry), level - 1, forgotten);
            }
        }
        release(table, forgotten);
    }

    private void release(long frame, boolean forgotten) {
        if (forgotten) {
            frames.free(frame, 0);
        } else {
            unit.quarantine(1);
        }
    }
}
