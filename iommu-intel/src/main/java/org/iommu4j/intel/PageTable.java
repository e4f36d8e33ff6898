// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.DirtyBitmap;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.intel.IntelRules.DirtyLeaves;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.TableFrames;

/**
 * A page table of either stage, VT-d 3.6 and 3.7: 3 to 5 levels of 512 entries, with the bits of its format.
 *
 * <p>Four classes share the work. Tables of any format can be split in the same way, with classes and methods in this
 * order:
 *
 * <ol>
 *   <li>{@link TableFrames}, frames and chains of frames: take one, take several, push, next, count, free.
 *   <li>This class: the shape; entries; the walk, {@link #descend}; stores ({@link #link}, {@link #storeLeaves}, {@link
 *       #clearEntries}); {@link #translate}; {@link #readDirty}; {@link #countFrames}, {@link #free}.
 *   <li>{@link PageMapper}: map with its arguments and the quick way; map slowly (check, allocate frames, link, store);
 *       checks (count missing tables, check that entries are free); tables that leaves replace (collect, retire).
 *   <li>{@link PageUnmapper}: unmap with its arguments; leaves; tables that are covered.
 * </ol>
 *
 * <p>Calls for disjoint ranges may run at the same time without a lock. Tables are linked by compare-and-set. A table
 * is removed only by unmapping a range that contains all that it covers.
 *
 * <p>Where the unit does not snoop its walks, an entry is written back after it is stored. A software bit in a table's
 * entry records this. A thread that meets the entry before that writes it back itself, since its own mapping depends on
 * it.
 *
 * <p>Source: the rules of {@code drivers/iommu/generic_pt} in Linux 7.1.
 */
final class PageTable {
    private static final int PAGE_SHIFT = 12;
    private static final int STRIDE = 9;
    private static final int INDEX_MASK = SystemMemory.FRAME_WORDS - 1;
    private static final long ADDRESS_MASK = TableFormat.ADDRESS_MASK;

    /** The bits of a place that are its level: an entry's address is a multiple of 8. */
    private static final int LEVEL_MASK = 7;

    /** The bit of a place that is set when the walk met a leaf above its target level. */
    private static final long LEAF = Long.MIN_VALUE;

    private final SystemMemory memory;
    private final TableFrames frames;
    private final TableFormat format;
    private final long present;
    private final long tableBits;
    private final long largeMask;
    private final long writtenBack;
    private final long dirty;
    private final int levels;
    private volatile long end;
    private final long pageSizes;
    private final long root;
    private volatile boolean writeBack;

    /**
     * Makes an empty table.
     *
     * @param levels 3 to 5
     * @param width bits of an address
     * @param pageSizes bitmap of leaf sizes
     * @param writeBack whether any unit walks without snooping
     * @throws IommuException ENOMEM
     */
    PageTable(
            SystemMemory memory,
            TableFrames frames,
            TableFormat format,
            int levels,
            int width,
            long pageSizes,
            boolean writeBack) {
        this.memory = memory;
        this.frames = frames;
        this.format = format;
        this.present = format.present();
        this.tableBits = format.table();
        this.largeMask = format.large();
        this.writtenBack = format.writtenBack();
        this.dirty = format.dirty();
        this.levels = levels;
        this.end = (1L << width) - 1;
        this.pageSizes = pageSizes;
        this.writeBack = writeBack;
        this.root = frames.take(writeBack);
    }

    // ---- shape ---------------------------------------------------------------------------------------------------

    TableFormat format() {
        return format;
    }

    long root() {
        return root;
    }

    int levels() {
        return levels;
    }

    /** Returns the last address that can be mapped. */
    long end() {
        return end;
    }

    /** Lowers the last address that can be mapped. Nothing may be mapped above. */
    void narrow(int width) {
        end = (1L << width) - 1;
    }

    long pageSizes() {
        return pageSizes;
    }

    SystemMemory memory() {
        return memory;
    }

    TableFrames frames() {
        return frames;
    }

    boolean writesBack() {
        return writeBack;
    }

    /** Changes whether entries are written back from now on; existing entries are left unchanged. */
    void writeBack(boolean writeBack) {
        this.writeBack = writeBack;
    }

    // ---- entries -------------------------------------------------------------------------------------------------

    boolean isPresent(long entry) {
        return (entry & present) != 0;
    }

    /** Returns whether a present entry is a leaf. */
    boolean isLeaf(long entry, int level) {
        return level == 1 || (entry & largeMask) != 0;
    }

    /** Returns the frame that a present entry leads to. */
    static long frame(long entry) {
        return entry & ADDRESS_MASK;
    }

    /** Returns the bit that makes an entry a leaf of a level. */
    long leafBit(int level) {
        return level > 1 ? largeMask : 0;
    }

    /** Returns log2 of the bytes that an entry of a level covers. */
    static int shift(int level) {
        return PAGE_SHIFT + STRIDE * (level - 1);
    }

    /** Returns the level whose leaves cover a power of two bytes. */
    static int levelOf(int shift) {
        return (shift - PAGE_SHIFT) / STRIDE + 1;
    }

    static int index(long iova, int level) {
        return (int) (iova >>> shift(level)) & INDEX_MASK;
    }

    private static long entryAddress(long table, long iova, int level) {
        return table + (long) index(iova, level) * 8;
    }

    /** Returns the index of the first present entry of a run from an index on, or the run's length. */
    int nextPresent(long entries, int from, int run) {
        return from == run ? run : from + memory.leadingClear(entries + (long) from * 8, present, run - from);
    }

    /** Returns whether no entry of a run is present. */
    boolean areFree(long entries, int run) {
        return run == 1 ? !isPresent(memory.load(entries)) : memory.leadingClear(entries, present, run) == run;
    }

    /** Returns how many entries of a run, from its first on, are leaves of a level. */
    int countLeaves(long entries, int level, int run) {
        return run == 1 ? 1 : memory.leadingSet(entries, level == 1 ? present : largeMask, run);
    }

    // ---- the walk ------------------------------------------------------------------------------------------------

    /**
     * Walks down to the entry of an address in its table of a level, or stops above it where the walk ends: at an entry
     * that is not present or a leaf.
     *
     * @param level 1 to {@link #levels}
     * @param publish whether entries linked below depend on the entries passed: those that a walk without snooping may
     *     not see yet are written back
     * @return the place of the entry: see {@link #entryAt}, {@link #levelAt} and {@link #endsAtLeaf}
     */
    long descend(long iova, int level, boolean publish) {
        return walk(iova, level, publish, false);
    }

    /** The walk. It returns a place, or the address that the entry there translates to. */
    private long walk(long iova, int level, boolean publish, boolean translate) {
        boolean writesBack = publish && writeBack;
        int at = levels;
        long entryAddress = entryAddress(root, iova, at);
        while (at > level) {
            long entry = memory.load(entryAddress);
            boolean leaf = (entry & largeMask) != 0;
            if (!isPresent(entry) || leaf) {
                return translate ? translate(entry, at, iova) : entryAddress | at | (leaf ? LEAF : 0);
            }
            if (writesBack && (entry & writtenBack) == 0) {
                memory.writeBack(entryAddress, 8);
            }
            at--;
            entryAddress = entryAddress(frame(entry), iova, at);
        }
        return translate ? translate(memory.load(entryAddress), at, iova) : entryAddress | at;
    }

    /** Returns the place of the entry of an address in a table. */
    static long place(long table, long iova, int level) {
        return entryAddress(table, iova, level) | level;
    }

    /** Returns the address of the entry at a place. */
    static long entryAt(long place) {
        return place & ~(LEAF | LEVEL_MASK);
    }

    /** Returns the level of the table that a place is in. */
    static int levelAt(long place) {
        return (int) place & LEVEL_MASK;
    }

    /** Returns whether the walk met a leaf above its target level. */
    static boolean endsAtLeaf(long place) {
        return place < 0;
    }

    // ---- stores --------------------------------------------------------------------------------------------------

    /**
     * Links a table to an entry that is not present.
     *
     * @param old the entry as it was loaded
     * @return false when another thread changed the entry first
     */
    boolean link(long entryAddress, long old, long frame) {
        long entry = tableBits | frame;
        if (!memory.compareAndSet(entryAddress, old, entry)) {
            return false;
        }
        if (writeBack) {
            memory.writeBack(entryAddress, 8);
            memory.compareAndSet(entryAddress, entry, entry | writtenBack);
        }
        return true;
    }

    /** Stores a run of leaves that map consecutive pages. */
    void storeLeaves(long entries, long first, long pageSize, int run) {
        if (run == 1) {
            memory.store(entries, first);
        } else {
            memory.storeRun(entries, first, pageSize, run);
        }
        writeBack(entries, run);
    }

    void clearEntries(long entries, int run) {
        if (run == 1) {
            memory.store(entries, 0);
        } else {
            memory.storeRun(entries, 0, 0, run);
        }
        writeBack(entries, run);
    }

    private void writeBack(long entries, int run) {
        if (writeBack) {
            memory.writeBack(entries, (long) run * 8);
        }
    }

    // ---- reading -------------------------------------------------------------------------------------------------

    /** Translates; see {@link IommuDomain#translate}. */
    long translate(long iova) {
        return Long.compareUnsigned(iova, end) > 0 ? IommuDomain.UNMAPPED : walk(iova, 1, false, true);
    }

    private long translate(long entry, int level, long iova) {
        if (!isPresent(entry)) {
            return IommuDomain.UNMAPPED;
        }
        long offset = (1L << shift(level)) - 1;
        return (frame(entry) & ~offset) | (iova & offset);
    }

    /**
     * Marks the leaves that devices wrote, in the range of a bitmap.
     *
     * @param clear whether to clear their dirty bits, and add their range to the gather
     * @param leaves what one marks that the range enters behind its start
     */
    void readDirty(DirtyBitmap bitmap, boolean clear, IotlbGather gather, DirtyLeaves leaves) {
        if (Long.compareUnsigned(bitmap.start(), end) > 0) {
            return;
        }
        long last = Math.min(bitmap.size() - 1, end - bitmap.start()) + bitmap.start();
        long at = bitmap.start();
        while (at <= last) {
            long place = descend(at, 1, false);
            long entry = memory.load(entryAt(place));
            if (isPresent(entry) && !isLeaf(entry, levelAt(place))) {
                // Another thread has linked a table here.
                continue;
            }
            long size = 1L << shift(levelAt(place));
            long first = at & -size;
            if (isPresent(entry) && (entry & dirty) != 0) {
                bitmap.mark(leaves == DirtyLeaves.OWN_PAGES ? first : at, size);
                if (clear) {
                    clearDirty(entryAt(place), entry);
                    gather.addRange(first, first + size - 1);
                }
            }
            at = (leaves == DirtyLeaves.SKIP_AHEAD ? at : first) + size;
        }
    }

    private void clearDirty(long entryAddress, long seen) {
        long entry = seen;
        // The unit may set bits at the same time, and another thread may unmap.
        while ((entry & dirty) != 0 && !memory.compareAndSet(entryAddress, entry, entry & ~dirty)) {
            entry = memory.load(entryAddress);
        }
        writeBack(entryAddress, 1);
    }

    /** Returns how many frames the table has, including its root. */
    long countFrames() {
        return countFrames(root, levels);
    }

    private long countFrames(long table, int level) {
        long count = 1;
        for (int i = 0; level > 1 && i < SystemMemory.FRAME_WORDS; i++) {
            long entry = memory.load(table + (long) i * 8);
            if (isPresent(entry) && !isLeaf(entry, level)) {
                count += countFrames(frame(entry), level - 1);
            }
        }
        return count;
    }

    /** Frees all frames; the table can't be used afterwards. */
    void free() {
        free(root, levels);
    }

    private void free(long table, int level) {
        for (int i = 0; level > 1 && i < SystemMemory.FRAME_WORDS; i++) {
            long entry = memory.load(table + (long) i * 8);
            if (isPresent(entry) && !isLeaf(entry, level)) {
                free(frame(entry), level - 1);
            }
        }
        frames.free(table, 0);
    }
}
