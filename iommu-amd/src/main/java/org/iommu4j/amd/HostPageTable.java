// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.iommu4j.amd.fmt.HostPageEntry.ADDRESS;
import static org.iommu4j.amd.fmt.HostPageEntry.FC;
import static org.iommu4j.amd.fmt.HostPageEntry.IR;
import static org.iommu4j.amd.fmt.HostPageEntry.IW;
import static org.iommu4j.amd.fmt.HostPageEntry.LEVEL_BITS;
import static org.iommu4j.amd.fmt.HostPageEntry.MIN_SHIFT;
import static org.iommu4j.amd.fmt.HostPageEntry.NEXT_LEVEL;
import static org.iommu4j.amd.fmt.HostPageEntry.PHYSICAL_BITS;
import static org.iommu4j.amd.fmt.HostPageEntry.PR;
import static org.iommu4j.amd.fmt.HostPageEntry.isTable;
import static org.iommu4j.amd.fmt.HostPageEntry.leafShift;
import static org.iommu4j.amd.fmt.HostPageEntry.shift;
import static org.iommu4j.amd.fmt.HostPageEntry.table;

import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.amd.fmt.HostPageEntry;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;
import org.jspecify.annotations.Nullable;

/**
 * A host (v1) page table, 48882 section 2.2.3.
 *
 * <p>Takes no lock: calls for disjoint ranges may run at the same time. Shared upper tables are made with
 * compare-and-set, and a table goes only in a call whose range has all that it covers. The root grows when an address
 * beyond it is mapped; {@link Owner} makes the hardware follow.
 *
 * <p>Mapping is all or nothing without undoing: the range is checked and the frames are taken before the first entry
 * is written.
 */
final class HostPageTable {
    /** Who has the table, for what is not in memory: hardware that follows, and caches of it. */
    interface Owner {
        /**
         * Grows the table, one thread at a time, by calling {@link HostPageTable#growTo} and making hardware follow.
         *
         * @throws IommuException ENOMEM, ETIMEDOUT or EIO; the table is as it was
         */
        void grow(int levels);

        /**
         * Makes the hardware forget tables that were unlinked.
         *
         * @return null, or why they may not have: the frames must not be used again
         */
        @Nullable
        IommuException forgetTables(long first, long last);

        /** Notes frames that are kept for good. */
        void quarantine(long frames);
    }

    /** Every power of two from 4 KiB to 2^51, but 512 GiB, which hardware gets wrong. */
    static final long PAGE_SIZES = 0x000f_ffff_ffff_f000L & ~(1L << 39);

    private static final long NONE = 0;
    private static final int ENTRIES = SystemMemory.FRAME_WORDS;
    private static final int ENTRY_SHIFT = 3;
    private static final long FRAME_MASK = SystemMemory.FRAME_SIZE - 1L;

    private final SystemMemory memory;
    private final FrameAllocator frames;
    private final Owner owner;
    private final int maxLevels;
    private final long lastAddress;
    private final long pageSizes;

    /** Root and levels in one word, so that both change at once: the levels are in the low bits. */
    private volatile long top;

    /**
     * Makes an empty table.
     *
     * @param startLevels levels to start with
     * @param maxLevels levels that every unit can walk
     * @throws IommuException ENOMEM
     */
    HostPageTable(SystemMemory memory, FrameAllocator frames, Owner owner, int startLevels, int maxLevels) {
        this.memory = memory;
        this.frames = frames;
        this.owner = owner;
        this.maxLevels = maxLevels;
        int bits = Math.min(64, shift(maxLevels + 1));
        this.lastAddress = bits == 64 ? -1L : (1L << bits) - 1;
        this.pageSizes = PAGE_SIZES & this.lastAddress;
        this.top = newTable() | startLevels;
    }

    /** Returns the root's physical address. */
    long root() {
        return top & ~FRAME_MASK;
    }

    /** Returns how many levels there are now. */
    int levels() {
        return (int) (top & FRAME_MASK);
    }

    /** Returns the last address that can be mapped. */
    long lastAddress() {
        return lastAddress;
    }

    /** Returns the page sizes that a table of at most so many levels has. */
    long pageSizes() {
        return pageSizes;
    }

    // --- map ---

    /** Maps; see {@link IommuDomain#map}. */
    void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
        long permissions = permissions(prot);
        if (permissions == 0) {
            throw refuse(Errno.EINVAL, iova, "neither READ nor WRITE in " + Prot.toString(prot));
        }
        if (Long.bitCount(pageSize) != 1 || (pageSize & pageSizes) == 0) {
            throw refuse(Errno.ENXIO, iova, "no page size 0x" + Long.toHexString(pageSize));
        }
        if (((iova | physicalAddress) & (pageSize - 1)) != 0) {
            throw refuse(
                    Errno.EINVAL,
                    iova,
                    "iova or physical address 0x" + Long.toHexString(physicalAddress) + " is not aligned to 0x"
                            + Long.toHexString(pageSize));
        }
        if (count < 1) {
            throw refuse(Errno.EINVAL, iova, "count is " + count + ", expected at least 1");
        }
        int sizeShift = Long.numberOfTrailingZeros(pageSize);
        long last = lastByte(iova, physicalAddress, sizeShift, count);
        int level = leafLevel(sizeShift);
        int needed = Math.max(level, levelsFor(last));
        if (needed > levels()) {
            owner.grow(needed);
        }
        int slots = 1 << (sizeShift - shift(level));
        long leaf = HostPageEntry.leaf(physicalAddress, sizeShift, permissions, FC.mask());
        // The common case: the run is inside one table that is there already.
        if ((iova ^ last) >>> (shift(level) + LEVEL_BITS) == 0) {
            long entry = walk(iova, level);
            int run = (int) count * slots;
            if (entry != NONE && memory.leadingClear(entry, PR.mask(), run) == run) {
                storeLeaves(entry, leaf, pageSize, (int) count, slots);
                return;
            }
        }
        mapSlowly(iova, last, level, leaf, pageSize, slots);
    }

    private long lastByte(long iova, long physicalAddress, int sizeShift, long count) {
        long size = count << sizeShift;
        long lastIova = iova + size - 1;
        long lastPhysical = physicalAddress + size - 1;
        if (size >>> sizeShift != count
                || Long.compareUnsigned(lastIova, iova) < 0
                || Long.compareUnsigned(lastIova, lastAddress) > 0) {
            throw refuse(
                    Errno.ERANGE,
                    iova,
                    count + " pages of 2^" + sizeShift + " bytes do not end before 0x" + Long.toHexString(lastAddress));
        }
        if (Long.compareUnsigned(lastPhysical, physicalAddress) < 0 || lastPhysical >>> PHYSICAL_BITS != 0) {
            throw refuse(
                    Errno.ERANGE,
                    iova,
                    "physical address 0x" + Long.toHexString(physicalAddress) + " and 0x" + Long.toHexString(size)
                            + " bytes need more than " + PHYSICAL_BITS + " bits");
        }
        return lastIova;
    }

    private static long permissions(int prot) {
        return ((prot & Prot.READ) != 0 ? IR.mask() : 0) | ((prot & Prot.WRITE) != 0 ? IW.mask() : 0);
    }

    private void storeLeaves(long entry, long leaf, long pageSize, int pages, int slots) {
        if (slots == 1) {
            memory.storeRun(entry, leaf, pageSize, pages);
            return;
        }
        long at = entry;
        long value = leaf;
        for (int i = 0; i < pages; i++) {
            memory.storeRun(at, value, 0, slots);
            at += (long) slots << ENTRY_SHIFT;
            value += pageSize;
        }
    }

    /** Several tables, tables that are missing, tables in the way, or a refusal. */
    private void mapSlowly(long iova, long last, int level, long leaf, long pageSize, int slots) {
        long missing = check(iova, last, level);
        long spare = takeTables(missing);
        long unlinked = NONE;
        int tableBits = shift(level) + LEVEL_BITS;
        long at = iova;
        long value = leaf;
        while (true) {
            long entry = walk(at, level);
            while (entry == NONE) {
                spare = linkTable(at, level, spare);
                entry = walk(at, level);
            }
            long lastHere = lastInTable(at, last, tableBits);
            int run = (int) ((lastHere - at) >>> shift(level)) + 1;
            for (int clear = memory.leadingClear(entry, PR.mask(), run); clear < run; ) {
                long obstacle = entry + ((long) clear << ENTRY_SHIFT);
                unlinked = chain(memory.load(obstacle) & ADDRESS.mask(), level - 1, unlinked);
                memory.store(obstacle, 0);
                clear = memory.leadingClear(entry, PR.mask(), run);
            }
            storeLeaves(entry, value, pageSize, run / slots, slots);
            value += (long) (run / slots) * pageSize;
            if (lastHere == last) {
                break;
            }
            at = lastHere + 1;
        }
        freeChain(spare);
        IommuException failure = unlinked == NONE ? null : owner.forgetTables(iova, last);
        if (failure != null) {
            clear(iova, last, level);
            quarantineChain(unlinked);
            throw failure;
        }
        freeChain(unlinked);
    }

    /** Clears what this call has just mapped. */
    private void clear(long iova, long last, int level) {
        int tableBits = shift(level) + LEVEL_BITS;
        for (long at = iova; ; ) {
            long lastHere = lastInTable(at, last, tableBits);
            memory.storeRun(walk(at, level), 0, 0, (int) ((lastHere - at) >>> shift(level)) + 1);
            if (lastHere == last) {
                return;
            }
            at = lastHere + 1;
        }
    }

    private static long lastInTable(long at, long last, int tableBits) {
        long end = tableBits >= 64 ? -1L : at | ((1L << tableBits) - 1);
        return Long.compareUnsigned(end, last) < 0 ? end : last;
    }

    /**
     * Checks that nothing is mapped in a range, without writing.
     *
     * @return how many tables are missing; perhaps fewer by the time they are linked
     * @throws IommuException EADDRINUSE
     */
    private long check(long iova, long last, int leafLevel) {
        long missing = 0;
        long at = iova;
        while (true) {
            long now = top;
            long table = now & ~FRAME_MASK;
            int level = (int) (now & FRAME_MASK);
            while (level > leafLevel) {
                long entry = memory.load(entryAddress(table, at, level));
                if (!PR.isSet(entry)) {
                    break;
                }
                if (!isTable(entry)) {
                    throw inUse(at, entry);
                }
                table = entry & ADDRESS.mask();
                level--;
            }
            long here;
            if (level > leafLevel) {
                here = lastInTable(at, last, shift(level));
                for (int l = leafLevel; l < level; l++) {
                    int bits = shift(l + 1);
                    missing += bits >= 64 ? 1 : (here >>> bits) - (at >>> bits) + 1;
                }
            } else {
                here = lastInTable(at, last, shift(level + 1));
                int run = (int) ((here - at) >>> shift(level)) + 1;
                checkEmpty(entryAddress(table, at, level), run, level, at);
            }
            if (here == last) {
                return missing;
            }
            at = here + 1;
        }
    }

    private void checkEmpty(long firstEntry, int run, int level, long iova) {
        int i = 0;
        while (i < run) {
            i += memory.leadingClear(firstEntry + ((long) i << ENTRY_SHIFT), PR.mask(), run - i);
            if (i < run) {
                long entry = memory.load(firstEntry + ((long) i << ENTRY_SHIFT));
                if (!isTable(entry)) {
                    throw inUse(iova + ((long) i << shift(level)), entry);
                }
                checkEmpty(entry & ADDRESS.mask(), ENTRIES, level - 1, iova + ((long) i << shift(level)));
                i++;
            }
        }
    }

    /** Takes zeroed frames, chained through their first word, all or none. */
    private long takeTables(long count) {
        long chain = NONE;
        for (long i = 0; i < count; i++) {
            long frame;
            try {
                frame = newTable();
            } catch (IommuException e) {
                freeChain(chain);
                throw e;
            }
            memory.store(frame, chain);
            chain = frame;
        }
        return chain;
    }

    private long newTable() {
        long frame = frames.allocate(0);
        memory.storeRun(frame, 0, 0, ENTRIES);
        return frame;
    }

    /** Links a table of the chain where the walk to a level ends early; a thread that was faster is as good. */
    private long linkTable(long iova, int leafLevel, long chain) {
        long now = top;
        long table = now & ~FRAME_MASK;
        for (int level = (int) (now & FRAME_MASK); level > leafLevel; level--) {
            long at = entryAddress(table, iova, level);
            long entry = memory.load(at);
            if (!PR.isSet(entry)) {
                if (chain == NONE) {
                    throw new IllegalStateException(
                            "no table left for level " + (level - 1) + " at iova 0x" + Long.toHexString(iova));
                }
                long rest = memory.load(chain);
                memory.store(chain, 0);
                if (memory.compareAndSet(at, entry, HostPageEntry.table(chain, level - 1))) {
                    return rest;
                }
                memory.store(chain, rest);
                return chain;
            }
            table = entry & ADDRESS.mask();
        }
        return chain;
    }

    /** Adds an empty table and those under it to a chain of frames; what the chain stores is no present entry. */
    private long chain(long table, int level, long chain) {
        long result = chain;
        for (int i = 0; i < ENTRIES && level > 1; i++) {
            long entry = memory.load(table + ((long) i << ENTRY_SHIFT));
            if (PR.isSet(entry)) {
                result = chain(entry & ADDRESS.mask(), level - 1, result);
            }
        }
        memory.store(table, result);
        return table;
    }

    private void freeChain(long chain) {
        long frame = chain;
        while (frame != NONE) {
            long next = memory.load(frame);
            frames.free(frame, 0);
            frame = next;
        }
    }

    private void quarantineChain(long chain) {
        long count = 0;
        for (long frame = chain; frame != NONE; frame = memory.load(frame)) {
            count++;
        }
        owner.quarantine(count);
    }

    // --- unmap ---

    /** Unmaps; see {@link IommuDomain#unmap}. */
    long unmap(long iova, long size, IotlbGather gather) {
        long last = iova + size - 1;
        if (size == 0
                || ((iova | size) & ((1L << MIN_SHIFT) - 1)) != 0
                || Long.compareUnsigned(last, iova) < 0
                || Long.compareUnsigned(last, lastAddress) > 0) {
            return 0;
        }
        long now = top;
        int level = (int) (now & FRAME_MASK);
        long lastReachable = lastInTable(0, -1L, shift(level + 1));
        if (Long.compareUnsigned(iova, lastReachable) > 0) {
            return 0;
        }
        long done = unmap(now & ~FRAME_MASK, level, iova, minUnsigned(last, lastReachable), gather);
        if (done != 0) {
            gather.addRange(iova, iova + done - 1);
        }
        return done;
    }

    /** Clears from an address on below a table; returns the bytes, fewer than asked when a hole was met. */
    private long unmap(long table, int level, long iova, long last, IotlbGather gather) {
        long asked = last - iova + 1;
        long done = 0;
        // Unsigned, and asked is 0 for all of 2^64; then done is never 0 again before the table's end.
        do {
            long at = iova + done;
            long entryAt = entryAddress(table, at, level);
            long entry = memory.load(entryAt);
            if (!PR.isSet(entry)) {
                return done;
            }
            if (level > 1 && isTable(entry)) {
                long lastHere = lastInTable(at, last, shift(level));
                long inside = unmap(entry & ADDRESS.mask(), level - 1, at, lastHere, gather);
                done += inside;
                if (Long.compareUnsigned(inside, lastHere - at + 1) < 0) {
                    return done;
                }
                long span = 1L << shift(level);
                if ((at & (span - 1)) == 0 && lastHere == (at | (span - 1))) {
                    memory.store(entryAt, 0);
                    release(entry & ADDRESS.mask(), gather);
                }
            } else {
                int leafShift = leafShift(entry, level);
                if ((at & ((1L << leafShift) - 1)) != 0) {
                    return done;
                }
                int run = leafShift == shift(level)
                        ? plainLeaves(entryAt, level, at, last)
                        : 1 << (leafShift - shift(level));
                memory.storeRun(entryAt, 0, 0, run);
                done += (long) run << shift(level);
            }
        } while (Long.compareUnsigned(done, asked) < 0);
        return done;
    }

    /** Returns how many leaves of the level's own size follow each other, up to the end of range or table. */
    private int plainLeaves(long entryAt, int level, long iova, long last) {
        int toEnd = ENTRIES - (int) ((entryAt & FRAME_MASK) >>> ENTRY_SHIFT);
        long wanted = ((last - iova) >>> shift(level)) + 1;
        int most = (int) Math.min(toEnd, wanted);
        if (most == 1) {
            return 1;
        }
        int present = memory.leadingSet(entryAt, PR.mask(), most);
        return memory.leadingClear(entryAt, NEXT_LEVEL.mask(), present);
    }

    private void release(long frame, IotlbGather gather) {
        if (gather.addFrame(frame)) {
            return;
        }
        drain(gather, 0, lastAddress);
        gather.addFrame(frame);
    }

    /** Makes the hardware forget, then frees the gather's frames; its range stays, for the caller's own sync. */
    private void drain(IotlbGather gather, long first, long last) {
        boolean forgotten = owner.forgetTables(first, last) == null;
        boolean hasRange = gather.hasRange();
        long start = gather.start();
        long end = gather.end();
        freeGathered(gather, forgotten);
        gather.reset();
        if (hasRange) {
            gather.addRange(start, end);
        }
    }

    /** Frees the frames of a gather, or keeps them for good. */
    void freeGathered(IotlbGather gather, boolean forgotten) {
        if (!forgotten) {
            owner.quarantine(gather.frameCount());
            return;
        }
        for (int i = 0; i < gather.frameCount(); i++) {
            frames.free(gather.frame(i), 0);
        }
    }

    // --- translate, walk, grow, free ---

    /** Translates; see {@link IommuDomain#translate}. */
    long translate(long iova) {
        long now = top;
        int level = (int) (now & FRAME_MASK);
        if (Long.compareUnsigned(iova, lastInTable(0, -1L, shift(level + 1))) > 0) {
            return IommuDomain.UNMAPPED;
        }
        long table = now & ~FRAME_MASK;
        while (true) {
            long entry = memory.load(entryAddress(table, iova, level));
            if (!PR.isSet(entry)) {
                return IommuDomain.UNMAPPED;
            }
            if (level == 1 || !isTable(entry)) {
                int leafShift = leafShift(entry, level);
                return HostPageEntry.leafAddress(entry, leafShift) | (iova & ((1L << leafShift) - 1));
            }
            table = entry & ADDRESS.mask();
            level--;
        }
    }

    /** Returns where the entry of an address is in its table of a level, or {@link #NONE} when there is no such table. */
    private long walk(long iova, int leafLevel) {
        long now = top;
        long table = now & ~FRAME_MASK;
        for (int level = (int) (now & FRAME_MASK); level > leafLevel; level--) {
            long entry = memory.load(entryAddress(table, iova, level));
            if (!PR.isSet(entry)) {
                return NONE;
            }
            if (!isTable(entry)) {
                throw inUse(iova, entry);
            }
            table = entry & ADDRESS.mask();
        }
        return entryAddress(table, iova, leafLevel);
    }

    private static long entryAddress(long table, long iova, int level) {
        return table + ((iova >>> shift(level) & (ENTRIES - 1)) << ENTRY_SHIFT);
    }

    private static int leafLevel(int sizeShift) {
        return (sizeShift - MIN_SHIFT) / LEVEL_BITS + 1;
    }

    private int levelsFor(long last) {
        int level = (int) (top & FRAME_MASK);
        while (level < maxLevels && Long.compareUnsigned(last, lastInTable(0, -1L, shift(level + 1))) > 0) {
            level++;
        }
        return level;
    }

    /**
     * Makes the tables of a taller root, not used by anybody yet.
     *
     * @return the new root
     * @throws IommuException ENOMEM
     */
    long tallerRoot(int newLevels) {
        long spare = takeTables(newLevels - levels());
        long below = root();
        for (int level = levels() + 1; level <= newLevels; level++) {
            long next = memory.load(spare);
            memory.store(spare, HostPageEntry.table(below, level - 1));
            below = spare;
            spare = next;
        }
        return below;
    }

    /** Makes a taller root the one that is walked. */
    void growTo(long root, int newLevels) {
        top = root | newLevels;
    }

    /** Frees a taller root that never came into use, or keeps it for good when a unit may have seen it. */
    void discardTallerRoot(long root, int newLevels, boolean seen) {
        long table = root;
        for (int level = newLevels; level > levels(); level--) {
            long next = memory.load(table) & ADDRESS.mask();
            if (!seen) {
                frames.free(table, 0);
            }
            table = next;
        }
        if (seen) {
            owner.quarantine(newLevels - levels());
        }
    }

    /** Frees every table, or keeps them for good. */
    void free(boolean forgotten) {
        long count = free(root(), levels(), forgotten);
        if (!forgotten) {
            owner.quarantine(count);
        }
    }

    private long free(long table, int level, boolean forgotten) {
        long count = 1;
        for (int i = 0; i < ENTRIES && level > 1; i++) {
            i += memory.leadingClear(table + ((long) i << ENTRY_SHIFT), PR.mask(), ENTRIES - i);
            if (i < ENTRIES) {
                long entry = memory.load(table + ((long) i << ENTRY_SHIFT));
                if (isTable(entry)) {
                    count += free(entry & ADDRESS.mask(), level - 1, forgotten);
                }
            }
        }
        if (forgotten) {
            frames.free(table, 0);
        }
        return count;
    }

    /** Returns the permission bits and the rest of the leaf at an address, or 0; for messages and tests. */
    long leafAt(long iova) {
        long now = top;
        long table = now & ~FRAME_MASK;
        int level = (int) (now & FRAME_MASK);
        while (true) {
            long entry = memory.load(entryAddress(table, iova, level));
            if (!PR.isSet(entry) || level == 1 || !isTable(entry)) {
                return entry;
            }
            table = entry & ADDRESS.mask();
            level--;
        }
    }

    private static long minUnsigned(long a, long b) {
        return Long.compareUnsigned(a, b) < 0 ? a : b;
    }

    private static IommuException inUse(long iova, long entry) {
        return refuse(Errno.EADDRINUSE, iova, "mapped already: " + HostPageEntry.LAYOUT.decode(entry));
    }

    private static IommuException refuse(Errno errno, long iova, String what) {
        return new IommuException(errno, "map at iova 0x" + Long.toHexString(iova) + ": " + what);
    }
}
