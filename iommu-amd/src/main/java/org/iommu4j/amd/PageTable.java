// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;
import org.jspecify.annotations.Nullable;

/**
 * A page table of either format: frames of 512 entries, nine address bits a level, bit 0 present, the address in bits 51:12.
 *
 * <p>What an entry says is its subclass's. It is asked for an entry or a run of them, never for each entry of a run; how a
 * leaf differs from a pointer to a table, which every walk must know, is data.
 *
 * <p>Takes no lock: calls for disjoint ranges may run at the same time. Shared upper tables are made with
 * compare-and-set, and a table goes only in a call whose range has all that it covers. The root grows when an address
 * beyond it is mapped; {@link Owner} makes the hardware follow.
 *
 * <p>Mapping is all or nothing without undoing: the range is checked and the frames are taken before the first entry
 * is written.
 */
abstract class PageTable {
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

    /** Present, in both formats. */
    static final long PRESENT = 1;
    /** Address bits of an entry, in both formats. */
    static final long ADDRESS = 0x000f_ffff_ffff_f000L;
    /** Address bits that one level translates. */
    static final int LEVEL_BITS = 9;
    /** log2 of the smallest page. */
    static final int MIN_SHIFT = 12;
    /** The physical address width that an entry holds. */
    static final int PHYSICAL_BITS = 52;
    /** log2 of the bytes of an entry. */
    static final int ENTRY_SHIFT = 3;

    private static final long NONE = TableFrames.NONE;
    private static final int ENTRIES = SystemMemory.FRAME_WORDS;
    private static final long FRAME_MASK = SystemMemory.FRAME_SIZE - 1L;

    /** Where the table is. */
    final SystemMemory memory;

    private final TableFrames frames;
    private final Owner owner;
    private final LeafMark leafMark;
    private final int maxLevels;
    private final long lastAddress;
    private final long pageSizes;

    /** Root and levels in one word, so that both change at once: the levels are in the low bits. */
    private volatile long top;

    /**
     * How a present entry above the lowest level shows that it is a leaf: its bits under a mask have one of two values.
     *
     * @param mask the bits that tell
     * @param one a leaf's value
     * @param other another, or the same
     */
    record LeafMark(long mask, long one, long other) {}

    /**
     * Makes an empty table.
     *
     * @param startLevels levels to start with
     * @param maxLevels levels that it may grow to
     * @param bits of the addresses that can be mapped, up to 64
     * @param pageSizes page sizes of the format, as a bitmap
     * @throws IommuException ENOMEM
     */
    PageTable(
            SystemMemory memory,
            FrameAllocator frames,
            Owner owner,
            LeafMark leafMark,
            int startLevels,
            int maxLevels,
            int bits,
            long pageSizes) {
        this.memory = memory;
        this.frames = new TableFrames(memory, frames);
        this.owner = owner;
        this.leafMark = leafMark;
        this.maxLevels = maxLevels;
        this.lastAddress = bits >= 64 ? -1L : (1L << bits) - 1;
        this.pageSizes = pageSizes & this.lastAddress;
        this.top = this.frames.take() | startLevels;
    }

    // --- the format ---

    /**
     * Makes a leaf.
     *
     * @param prot with READ, WRITE or both
     */
    abstract long leaf(long physicalAddress, int sizeShift, int prot);

    /** Makes an entry that points to a table of a level. */
    abstract long tableEntry(long physicalAddress, int level);

    /** Returns log2 of the size of a leaf found in a table of a level. */
    abstract int leafShift(long entry, int level);

    /** Returns how many entries from here on are leaves of the level's own size. */
    abstract int plainRun(long entryAt, int level, int most);

    /** Says an entry in words. */
    abstract String decode(long entry);

    final boolean isTable(long entry, int level) {
        long mark = entry & leafMark.mask;
        return level > 1 && mark != leafMark.one && mark != leafMark.other;
    }

    /** Returns log2 of the bytes that an entry of a table covers; level 1 is the lowest. */
    static int shift(int level) {
        return MIN_SHIFT + (level - 1) * LEVEL_BITS;
    }

    // --- shape ---

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
        if ((prot & Prot.READ_WRITE) == 0) {
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
        long leaf = leaf(physicalAddress, sizeShift, prot);
        // The common case: the run is inside one table that is there already.
        if ((iova ^ last) >>> (shift(level) + LEVEL_BITS) == 0) {
            long entry = walk(iova, level);
            int run = (int) count * slots;
            if (entry != NONE && memory.leadingClear(entry, PRESENT, run) == run) {
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
        long spare = frames.take(missing);
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
            for (int clear = memory.leadingClear(entry, PRESENT, run); clear < run; ) {
                long obstacle = entry + ((long) clear << ENTRY_SHIFT);
                unlinked = chain(memory.load(obstacle) & ADDRESS, level - 1, unlinked);
                memory.store(obstacle, 0);
                clear = memory.leadingClear(entry, PRESENT, run);
            }
            storeLeaves(entry, value, pageSize, run / slots, slots);
            value += (long) (run / slots) * pageSize;
            if (lastHere == last) {
                break;
            }
            at = lastHere + 1;
        }
        frames.freeChain(spare);
        IommuException failure = unlinked == NONE ? null : owner.forgetTables(iova, last);
        if (failure != null) {
            clear(iova, last, level);
            owner.quarantine(frames.count(unlinked));
            throw failure;
        }
        frames.freeChain(unlinked);
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

    static long lastInTable(long at, long last, int tableBits) {
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
                if ((entry & PRESENT) == 0) {
                    break;
                }
                if (!isTable(entry, level)) {
                    throw inUse(at, entry);
                }
                table = entry & ADDRESS;
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
            i += memory.leadingClear(firstEntry + ((long) i << ENTRY_SHIFT), PRESENT, run - i);
            if (i < run) {
                long entry = memory.load(firstEntry + ((long) i << ENTRY_SHIFT));
                if (!isTable(entry, level)) {
                    throw inUse(iova + ((long) i << shift(level)), entry);
                }
                checkEmpty(entry & ADDRESS, ENTRIES, level - 1, iova + ((long) i << shift(level)));
                i++;
            }
        }
    }

    /** Links a table of the chain where the walk to a level ends early; a thread that was faster is as good. */
    private long linkTable(long iova, int leafLevel, long chain) {
        long now = top;
        long table = now & ~FRAME_MASK;
        for (int level = (int) (now & FRAME_MASK); level > leafLevel; level--) {
            long at = entryAddress(table, iova, level);
            long entry = memory.load(at);
            if ((entry & PRESENT) == 0) {
                if (chain == NONE) {
                    throw new IllegalStateException(
                            "no table left for level " + (level - 1) + " at iova 0x" + Long.toHexString(iova));
                }
                long rest = memory.load(chain);
                memory.store(chain, 0);
                if (memory.compareAndSet(at, entry, tableEntry(chain, level - 1))) {
                    return rest;
                }
                memory.store(chain, rest);
                return chain;
            }
            table = entry & ADDRESS;
        }
        return chain;
    }

    /** Adds an empty table and those under it to a chain of frames; what the chain stores is no present entry. */
    private long chain(long table, int level, long chain) {
        long result = chain;
        for (int i = 0; i < ENTRIES && level > 1; i++) {
            long entry = memory.load(table + ((long) i << ENTRY_SHIFT));
            if ((entry & PRESENT) != 0) {
                result = chain(entry & ADDRESS, level - 1, result);
            }
        }
        memory.store(table, result);
        return table;
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
            if ((entry & PRESENT) == 0) {
                return done;
            }
            if (isTable(entry, level)) {
                long lastHere = lastInTable(at, last, shift(level));
                long inside = unmap(entry & ADDRESS, level - 1, at, lastHere, gather);
                done += inside;
                if (Long.compareUnsigned(inside, lastHere - at + 1) < 0) {
                    return done;
                }
                long span = 1L << shift(level);
                if ((at & (span - 1)) == 0 && lastHere == (at | (span - 1))) {
                    memory.store(entryAt, 0);
                    release(entry & ADDRESS, gather);
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
        return plainRun(entryAt, level, most);
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
            frames.free(gather.frame(i));
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
            if ((entry & PRESENT) == 0) {
                return IommuDomain.UNMAPPED;
            }
            if (!isTable(entry, level)) {
                int leafShift = leafShift(entry, level);
                return (entry & ADDRESS & -(1L << leafShift)) | (iova & ((1L << leafShift) - 1));
            }
            table = entry & ADDRESS;
            level--;
        }
    }

    /** Returns where the entry of an address is in its table of a level, or {@link #NONE} when there is no such table. */
    private long walk(long iova, int leafLevel) {
        long now = top;
        long table = now & ~FRAME_MASK;
        for (int level = (int) (now & FRAME_MASK); level > leafLevel; level--) {
            long entry = memory.load(entryAddress(table, iova, level));
            if ((entry & PRESENT) == 0) {
                return NONE;
            }
            if (!isTable(entry, level)) {
                throw inUse(iova, entry);
            }
            table = entry & ADDRESS;
        }
        return entryAddress(table, iova, leafLevel);
    }

    static long entryAddress(long table, long iova, int level) {
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

    /** Makes another root the one that is walked. */
    final void setTop(long root, int levels) {
        top = root | levels;
    }

    /** Returns the frames that tables are made of. */
    final TableFrames frames() {
        return frames;
    }

    /** Returns who is told of what is not in memory. */
    final Owner owner() {
        return owner;
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
            i += memory.leadingClear(table + ((long) i << ENTRY_SHIFT), PRESENT, ENTRIES - i);
            if (i < ENTRIES) {
                long entry = memory.load(table + ((long) i << ENTRY_SHIFT));
                if (isTable(entry, level)) {
                    count += free(entry & ADDRESS, level - 1, forgotten);
                }
            }
        }
        if (forgotten) {
            frames.free(table);
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
            if ((entry & PRESENT) == 0 || !isTable(entry, level)) {
                return entry;
            }
            table = entry & ADDRESS;
            level--;
        }
    }

    static long minUnsigned(long a, long b) {
        return Long.compareUnsigned(a, b) < 0 ? a : b;
    }

    private IommuException inUse(long iova, long entry) {
        return refuse(Errno.EADDRINUSE, iova, "mapped already: " + decode(entry));
    }

    private static IommuException refuse(Errno errno, long iova, String what) {
        return new IommuException(errno, "map at iova 0x" + Long.toHexString(iova) + ": " + what);
    }
}
