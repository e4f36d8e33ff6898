// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.TableFrames;

/**
 * A page table of either format: frames of 512 entries, nine address bits per level, bit 0 present, the address in bits
 * 51:12.
 *
 * <p>The subclass defines the bits of an entry. It is called for an entry or a whole run, never for each entry of a
 * run. Every walk distinguishes leaves from pointers to tables by data.
 *
 * <p>These classes share the work:
 *
 * <ol>
 *   <li>{@link TableFrames}, frames and chains of frames: take one, take several, push, next, count, free.
 *   <li>This class: the shape; the format; entries; the walk, {@link #descend}; stores ({@link #link}, {@link
 *       #storeLeaves}, {@link #clearEntries}); {@link #translate}; {@link #free}. {@link HostPageTable} adds written
 *       pages and growing.
 *   <li>{@link PageMapper}: map with its arguments and the quick way; map slowly (check, allocate frames, link, store);
 *       checks (count missing tables, check that entries are free); tables that leaves replace (collect, retire).
 *   <li>{@link PageUnmapper}: unmap with its arguments; leaves; tables that are covered.
 * </ol>
 *
 * <p>Takes no lock: calls for disjoint ranges may run at the same time. Shared upper tables are linked by
 * compare-and-set. A table is removed only by unmapping a range that contains all that it covers. The root grows when
 * an address beyond it is mapped; {@link PageMapper.Growth} updates the hardware.
 */
abstract class PageTable {
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

    private static final int ENTRIES = SystemMemory.FRAME_WORDS;
    private static final long FRAME_MASK = SystemMemory.FRAME_SIZE - 1L;

    /** The bits of a place that are its level: an entry's address is a multiple of 8. */
    private static final int LEVEL_MASK = 7;

    /** The bit of a place that is set when the walk met a leaf above its target level. */
    private static final long LEAF = Long.MIN_VALUE;

    /** The bit of a place that is set beside {@link #LEAF} for a leaf of its level's own size. */
    private static final long WHOLE = 1L << 62;

    /** The memory that holds the table. */
    final SystemMemory memory;

    private final TableFrames frames;
    private final LeafMark leafMark;
    private final int maxLevels;
    private final long lastAddress;
    private final long pageSizes;

    /** Root and levels in one word, so that both change at once: the levels are in the low bits. */
    private volatile long top;

    /**
     * How a present entry above the lowest level shows that it is a leaf: its bits under a mask have one of two values.
     *
     * @param mask the bits that decide
     * @param one the value of a leaf of its level's own size
     * @param other that of a leaf of another size, or the same
     */
    record LeafMark(long mask, long one, long other) {}

    /**
     * Makes an empty table.
     *
     * @param startLevels levels to start with
     * @param maxLevels levels that it may grow to
     * @param bits the number of address bits that can be mapped, up to 64
     * @param pageSizes page sizes of the format, as a bitmap
     * @throws IommuException ENOMEM
     */
    PageTable(
            SystemMemory memory,
            TableFrames frames,
            LeafMark leafMark,
            int startLevels,
            int maxLevels,
            int bits,
            long pageSizes) {
        this.memory = memory;
        this.frames = frames;
        this.leafMark = leafMark;
        this.maxLevels = maxLevels;
        this.lastAddress = bits >= 64 ? -1L : (1L << bits) - 1;
        this.pageSizes = pageSizes & this.lastAddress;
        this.top = frames.take() | startLevels;
    }

    // --- shape ---

    /** Returns the root's physical address. */
    final long root() {
        return top & ~FRAME_MASK;
    }

    /** Returns the current number of levels. */
    final int levels() {
        return (int) (top & FRAME_MASK);
    }

    /** Returns how many levels are needed to map up to an address, at least the current number. */
    final int levelsFor(long last) {
        int level = levels();
        while (level < maxLevels && Long.compareUnsigned(last, lastReachable(level)) > 0) {
            level++;
        }
        return level;
    }

    /** Sets another root. */
    final void setTop(long root, int levels) {
        top = root | levels;
    }

    /** Returns the last address that can be mapped. */
    final long lastAddress() {
        return lastAddress;
    }

    /** Returns the last address that a table with a number of levels translates. */
    static long lastReachable(int levels) {
        return lastInTable(0, -1L, shift(levels + 1));
    }

    /** Returns the page sizes, as a bitmap. */
    final long pageSizes() {
        return pageSizes;
    }

    /** Returns the source of the tables' frames. */
    final TableFrames frames() {
        return frames;
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

    /** Returns how many entries, from an index on, are leaves of the level's own size. */
    abstract int plainRun(long entryAt, int level, int most);

    /** Describes an entry in words. */
    abstract String decode(long entry);

    // --- entries ---

    static boolean isPresent(long entry) {
        return (entry & PRESENT) != 0;
    }

    /** Returns whether a present entry points to a table. */
    final boolean isTable(long entry, int level) {
        long mark = entry & leafMark.mask;
        return level > 1 && mark != leafMark.one && mark != leafMark.other;
    }

    /** Returns the frame that a present entry leads to. */
    static long frame(long entry) {
        return entry & ADDRESS;
    }

    /** Returns log2 of the bytes that an entry of a table covers; level 1 is the lowest. */
    static int shift(int level) {
        return MIN_SHIFT + (level - 1) * LEVEL_BITS;
    }

    /** Returns the level of the tables that have leaves of a size. */
    static int levelOf(int sizeShift) {
        return (sizeShift - MIN_SHIFT) / LEVEL_BITS + 1;
    }

    static int index(long iova, int level) {
        return (int) (iova >>> shift(level)) & (ENTRIES - 1);
    }

    private static long entryAddress(long table, long iova, int level) {
        return table + ((long) index(iova, level) << ENTRY_SHIFT);
    }

    /** Returns the last address of a range that is in the same table, or under the same entry, as an address of it. */
    static long lastInTable(long at, long last, int tableBits) {
        long end = tableBits >= 64 ? -1L : at | ((1L << tableBits) - 1);
        return minUnsigned(end, last);
    }

    static long minUnsigned(long a, long b) {
        return Long.compareUnsigned(a, b) < 0 ? a : b;
    }

    /** Returns the index of the first present entry of a run from an index on, or the run's length. */
    final int nextPresent(long entries, int from, int run) {
        return from == run
                ? run
                : from + memory.leadingClear(entries + ((long) from << ENTRY_SHIFT), PRESENT, run - from);
    }

    // --- the walk ---

    /**
     * Walks down to the entry of an address in its table of a level, or stops above it where the walk ends: at an entry
     * that is not present or a leaf.
     *
     * @param iova an address that the current levels translate
     * @param level 1 to {@link #levels}
     * @return the place of the entry: see {@link #entryAt}, {@link #levelAt} and {@link #endsAtLeaf}
     */
    final long descend(long iova, int level) {
        return walk(iova, level, false);
    }

    /** The walk. It returns a place, or the address that the entry there translates to. */
    private long walk(long iova, int level, boolean translate) {
        long now = top;
        int at = (int) (now & FRAME_MASK);
        long entryAddress = entryAddress(now & ~FRAME_MASK, iova, at);
        while (at > level) {
            long entry = memory.load(entryAddress);
            boolean present = isPresent(entry);
            if (!present || !isTable(entry, at)) {
                return translate ? translate(entry, at, iova) : entryAddress | at | (present ? leafBits(entry) : 0);
            }
            at--;
            entryAddress = entryAddress(frame(entry), iova, at);
        }
        return translate ? translate(memory.load(entryAddress), at, iova) : entryAddress | at;
    }

    private long leafBits(long entry) {
        return (entry & leafMark.mask) == leafMark.one ? LEAF | WHOLE : LEAF;
    }

    /** Returns the place of the entry of an address in a table. */
    static long place(long table, long iova, int level) {
        return entryAddress(table, iova, level) | level;
    }

    /** Returns the address of the entry at a place. */
    static long entryAt(long place) {
        return place & ~(LEAF | WHOLE | LEVEL_MASK);
    }

    /** Returns the level of the table that a place is in. */
    static int levelAt(long place) {
        return (int) place & LEVEL_MASK;
    }

    /** Returns whether the walk met a leaf above its target level. */
    static boolean endsAtLeaf(long place) {
        return place < 0;
    }

    /** Returns whether the walk met such a leaf, of its level's own size. */
    static boolean endsAtWholeLeaf(long place) {
        return (place & WHOLE) != 0;
    }

    // --- stores ---

    /**
     * Links a table to an entry that is not present.
     *
     * @param old the entry as it was loaded
     * @param level the level of the table
     * @return false when another thread changed the entry first
     */
    final boolean link(long entryAddress, long old, long frame, int level) {
        return memory.compareAndSet(entryAddress, old, tableEntry(frame, level));
    }

    /**
     * Stores leaves that map consecutive pages.
     *
     * @param slots number of entries of each page, all with the same value
     */
    final void storeLeaves(long entries, long first, long pageSize, int pages, int slots) {
        if (slots == 1) {
            memory.storeRun(entries, first, pageSize, pages);
            return;
        }
        long at = entries;
        long value = first;
        for (int i = 0; i < pages; i++) {
            memory.storeRun(at, value, 0, slots);
            at += (long) slots << ENTRY_SHIFT;
            value += pageSize;
        }
    }

    final void clearEntries(long entries, int run) {
        memory.storeRun(entries, 0, 0, run);
    }

    // --- reading ---

    /** Translates; see {@link IommuDomain#translate}. */
    final long translate(long iova) {
        return Long.compareUnsigned(iova, lastReachable(levels())) > 0 ? IommuDomain.UNMAPPED : walk(iova, 1, true);
    }

    private long translate(long entry, int level, long iova) {
        if (!isPresent(entry)) {
            return IommuDomain.UNMAPPED;
        }
        long offset = (1L << leafShift(entry, level)) - 1;
        return (frame(entry) & ~offset) | (iova & offset);
    }

    /** Returns the entry at which the walk of an address ends; for messages and tests. */
    final long leafAt(long iova) {
        return memory.load(entryAt(descend(iova, 1)));
    }

    /**
     * Frees every table, once the units have invalidated them; the page table can't be used afterwards.
     *
     * @return the number of its frames
     */
    final long free(boolean forgotten) {
        return free(root(), levels(), forgotten);
    }

    private long free(long table, int level, boolean forgotten) {
        long count = 1;
        for (int i = nextPresent(table, 0, ENTRIES); level > 1 && i < ENTRIES; i = nextPresent(table, i + 1, ENTRIES)) {
            long entry = memory.load(table + ((long) i << ENTRY_SHIFT));
            if (isTable(entry, level)) {
                count += free(frame(entry), level - 1, forgotten);
            }
        }
        if (forgotten) {
            frames.free(table, 0);
        }
        return count;
    }
}
