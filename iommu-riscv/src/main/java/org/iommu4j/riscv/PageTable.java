// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import static org.iommu4j.riscv.fmt.PageEntry.A;
import static org.iommu4j.riscv.fmt.PageEntry.D;
import static org.iommu4j.riscv.fmt.PageEntry.N;
import static org.iommu4j.riscv.fmt.PageEntry.PBMT;
import static org.iommu4j.riscv.fmt.PageEntry.R;
import static org.iommu4j.riscv.fmt.PageEntry.U;
import static org.iommu4j.riscv.fmt.PageEntry.V;
import static org.iommu4j.riscv.fmt.PageEntry.W;
import static org.iommu4j.riscv.fmt.PageEntry.X;

import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.Prot;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.TableFrames;
import org.iommu4j.riscv.fmt.PageEntry;
import org.iommu4j.riscv.reg.Capabilities;

/**
 * A first-stage page table: Sv39, Sv48 or Sv57, of 3 to 5 levels of 512 entries, with pages of each level's size and,
 * by 16 equal entries (Svnapot), of 64 KiB. Only the lower half of the addresses is used, as in Linux.
 *
 * <p>These classes share the work:
 *
 * <ol>
 *   <li>{@link TableFrames}, frames and chains of frames.
 *   <li>This class: the shape; entries; the walk, {@link #descend}; stores; {@link #translate}; {@link #free}.
 *   <li>{@link PageMapper}: map quickly; map slowly (check, allocate frames, link, store); tables that leaves replace.
 *   <li>{@link PageUnmapper}: leaves; tables that are covered.
 * </ol>
 *
 * <p>Takes no lock: calls for disjoint ranges may run at the same time. Shared upper tables are linked by
 * compare-and-set. A table is removed only by unmapping a range that contains all that it covers.
 *
 * <p>Source: Linux {@code drivers/iommu/generic_pt/fmt/riscv.h}.
 */
final class PageTable {
    /** log2 of the bytes of an entry. */
    static final int ENTRY_SHIFT = 3;
    /** Bits of a physical address that an entry holds. */
    static final int PHYSICAL_BITS = 56;

    private static final int MIN_SHIFT = 12;
    private static final int LEVEL_BITS = 9;
    private static final int ENTRIES = SystemMemory.FRAME_WORDS;

    /** Entries of a page of 64 KiB. */
    private static final int NAPOT_ENTRIES = 1 << (PageEntry.NAPOT_SHIFT - MIN_SHIFT);

    private static final long NAPOT_SIZE = 1L << PageEntry.NAPOT_SHIFT;

    /** The bits of a place that are its level: an entry's address is a multiple of 8. */
    private static final int LEVEL_MASK = 7;

    /** The bit of a place that is set when the walk met a leaf above its target level. */
    private static final long LEAF = Long.MIN_VALUE;

    private final SystemMemory memory;
    private final TableFrames frames;
    private final RiscvRules rules;
    private final boolean memoryTypes;
    private final long writable;
    private final int levels;
    private final long lastAddress;
    private final long pageSizes;
    private final long root;

    /**
     * Makes an empty table.
     *
     * @param levels 3 to 5
     * @param capabilities of the unit that the domain is made for
     * @throws IommuException ENOMEM
     */
    PageTable(SystemMemory memory, TableFrames frames, RiscvRules rules, int levels, long capabilities) {
        this.memory = memory;
        this.frames = frames;
        this.rules = rules;
        this.memoryTypes = rules.memoryTypes() && Capabilities.SVPBMT.isSet(capabilities);
        boolean unitSetsDirty = rules.hardwareUpdates() && Capabilities.AMO_HWAD.isSet(capabilities);
        this.writable = W.mask() | (unitSetsDirty ? 0 : D.mask());
        this.levels = levels;
        this.lastAddress = (1L << (shift(levels + 1) - 1)) - 1;
        this.pageSizes = pageSizes(levels, rules);
        this.root = frames.take();
    }

    /** Returns the page sizes of a table, as a bitmap. */
    private static long pageSizes(int levels, RiscvRules rules) {
        long sizes = 0;
        // Before the generic tables, Linux has no leaves of the fifth level.
        for (int level = 1; level <= (rules.genericTables() ? levels : Math.min(levels, 4)); level++) {
            sizes |= 1L << shift(level);
        }
        return rules.genericTables() ? sizes | NAPOT_SIZE : sizes;
    }

    // --- shape ---

    long root() {
        return root;
    }

    int levels() {
        return levels;
    }

    /** Returns the last address that can be mapped. */
    long lastAddress() {
        return lastAddress;
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

    // --- entries ---

    /**
     * Makes a leaf.
     *
     * @param prot with READ, WRITE or both; what can be written can be read
     */
    long leaf(long physicalAddress, long pageSize, int prot) {
        long leaf = V.mask() | R.mask() | U.mask() | A.mask() | PageEntry.ppn(physicalAddress);
        if ((prot & Prot.WRITE) != 0) {
            leaf |= writable;
        }
        if (rules.genericTables() && (prot & Prot.NOEXEC) == 0) {
            leaf |= X.mask();
        }
        if (memoryTypes && (prot & Prot.MMIO) != 0) {
            leaf |= PBMT.of(PageEntry.TYPE_IO);
        } else if (memoryTypes && (prot & Prot.CACHE) == 0) {
            leaf |= PBMT.of(PageEntry.TYPE_NO_CACHE);
        }
        return pageSize == NAPOT_SIZE ? PageEntry.napot(leaf) : leaf;
    }

    static boolean isPresent(long entry) {
        return (entry & V.mask()) != 0;
    }

    /** Returns whether an entry leads to a table. */
    static boolean isTable(long entry) {
        return (entry & (V.mask() | PageEntry.LEAF)) == V.mask();
    }

    /** Returns the frame that a table's entry leads to. */
    static long frame(long entry) {
        return PageEntry.address(entry);
    }

    /** Returns log2 of the bytes that a leaf of a level maps. */
    private static int leafShift(long entry, int level) {
        return N.isSet(entry) ? PageEntry.NAPOT_SHIFT : shift(level);
    }

    /** Returns how many equal entries a leaf has. */
    static int slots(long entry) {
        return N.isSet(entry) ? NAPOT_ENTRIES : 1;
    }

    /** Returns how many equal entries a page of a size has. */
    static int slotsOf(long pageSize) {
        return pageSize == NAPOT_SIZE ? NAPOT_ENTRIES : 1;
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

    /** Returns the last address of a range that is below the same entry of a level, or in a table of the one below. */
    static long lastBelow(long at, long last, int level) {
        return Math.min(at | ((1L << shift(level)) - 1), last);
    }

    /** Returns the index of the first present entry of a run from an index on, or the run's length. */
    int nextPresent(long entries, int from, int run) {
        return from == run
                ? run
                : from + memory.leadingClear(entries + ((long) from << ENTRY_SHIFT), V.mask(), run - from);
    }

    // --- the walk ---

    /**
     * Walks down to the entry of an address in its table of a level, or stops above it where the walk ends: at an entry
     * that is not present or a leaf.
     *
     * @return the place of the entry: see {@link #entryAt}, {@link #levelAt} and {@link #endsAtLeaf}
     */
    long descend(long iova, int level) {
        int at = levels;
        long entryAddress = entryAddress(root, iova, at);
        while (at > level) {
            long entry = memory.load(entryAddress);
            if (!isTable(entry)) {
                return entryAddress | at | (isPresent(entry) ? LEAF : 0);
            }
            at--;
            entryAddress = entryAddress(frame(entry), iova, at);
        }
        return entryAddress | at;
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

    // --- stores ---

    /**
     * Links a table to an entry that is not present.
     *
     * @param old the entry as it was loaded
     * @return false when another thread changed the entry first
     */
    boolean link(long entryAddress, long old, long frame) {
        return memory.compareAndSet(entryAddress, old, PageEntry.table(frame));
    }

    /**
     * Stores leaves that map consecutive pages.
     *
     * @param slots number of entries of each page, all with the same value
     */
    void storeLeaves(long entries, long first, long pageSize, int pages, int slots) {
        long step = PageEntry.ppn(pageSize);
        if (slots == 1) {
            memory.storeRun(entries, first, step, pages);
            return;
        }
        long at = entries;
        long value = first;
        for (int i = 0; i < pages; i++) {
            memory.storeRun(at, value, 0, slots);
            at += (long) slots << ENTRY_SHIFT;
            value += step;
        }
    }

    void clearEntries(long entries, int run) {
        memory.storeRun(entries, 0, 0, run);
    }

    // --- reading ---

    /** Translates; see {@link IommuDomain#translate}. */
    long translate(long iova) {
        if (Long.compareUnsigned(iova, lastAddress) > 0) {
            return IommuDomain.UNMAPPED;
        }
        long place = descend(iova, 1);
        long entry = memory.load(entryAt(place));
        if (!isPresent(entry) || (levelAt(place) > 1 && !endsAtLeaf(place))) {
            return IommuDomain.UNMAPPED;
        }
        long offset = (1L << leafShift(entry, levelAt(place))) - 1;
        return (PageEntry.address(entry) & ~offset) | (iova & offset);
    }

    /**
     * Frees every table, once the units have invalidated them; the page table can't be used afterwards.
     *
     * @return the number of its frames
     */
    long free(boolean forgotten) {
        return free(root, levels, forgotten);
    }

    private long free(long table, int level, boolean forgotten) {
        long count = 1;
        for (int i = nextPresent(table, 0, ENTRIES); level > 1 && i < ENTRIES; i = nextPresent(table, i + 1, ENTRIES)) {
            long entry = memory.load(table + ((long) i << ENTRY_SHIFT));
            if (isTable(entry)) {
                count += free(frame(entry), level - 1, forgotten);
            }
        }
        if (forgotten) {
            frames.free(table, 0);
        }
        return count;
    }
}
