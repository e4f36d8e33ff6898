// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.DirtyBitmap;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;

/**
 * A page table of either stage, VT-d 3.6 and 3.7: 3 to 5 levels of 512 entries, with the bits that its format says.
 *
 * <p>Calls for disjoint ranges may run at the same time without a lock. Tables are installed by compare-and-set, and
 * only unmapping a range that contains all that a table covers takes it out again.
 *
 * <p>Mapping is all or nothing: what is in the way is looked for and every frame is allocated before the first entry
 * changes. The frames in stock are linked through their own first words, so that no list is allocated.
 *
 * <p>Where the unit does not snoop its walks, an entry is written back after it is stored, and a software bit of a
 * table's entry says that this has happened: another thread that meets the entry before writes it back
 * itself, since its own mapping depends on it.
 *
 * <p>Source: the rules of {@code drivers/iommu/generic_pt} in Linux 7.1.
 */
final class PageTable {
    static final int PAGE_SHIFT = 12;
    private static final int STRIDE = 9;
    private static final int INDEX_MASK = SystemMemory.FRAME_WORDS - 1;
    private static final int MAX_PHYSICAL_BITS = 52;
    private static final long NO_FRAME = 0;
    private static final long ADDRESS_MASK = TableFormat.ADDRESS_MASK;

    /** What a table's user does with a frame that the unit may still be walking. */
    interface Retirement {
        /**
         * Frees a chain of frames, linked by their first words, after the unit has forgotten them.
         *
         * @throws IommuException ETIMEDOUT or EIO; the frames are quarantined
         */
        void retire(long firstFrame, long first, long last);

        /** Invalidates and frees what a full gather holds. Never fails: what is not forgotten is quarantined. */
        void makeRoom(IotlbGather gather);
    }

    private final SystemMemory memory;
    private final FrameAllocator frames;
    private final Retirement retirement;
    private final TableFormat format;
    private final long present;
    private final long tableBits;
    private final long largeMask;
    private final long writtenBack;
    private final long dirty;
    private final int levels;
    private final long end;
    private final long pageSizes;
    private volatile boolean writeBack;
    private final long root;

    /**
     * Makes an empty table.
     *
     * @param levels 3 to 5
     * @param width bits of an address
     * @param pageSizes bitmap of leaf sizes
     * @param writeBack whether some unit walks without snooping
     * @throws IommuException ENOMEM
     */
    PageTable(
            SystemMemory memory,
            FrameAllocator frames,
            Retirement retirement,
            TableFormat format,
            int levels,
            int width,
            long pageSizes,
            boolean writeBack) {
        this.memory = memory;
        this.frames = frames;
        this.retirement = retirement;
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
        this.root = frames.allocate(0);
        clearFrame(root);
    }

    TableFormat format() {
        return format;
    }

    /** Changes whether entries are written back from now on; those that are there stay as they are. */
    void writeBack(boolean writeBack) {
        this.writeBack = writeBack;
    }

    long root() {
        return root;
    }

    int levels() {
        return levels;
    }

    long end() {
        return end;
    }

    long pageSizes() {
        return pageSizes;
    }

    // ---- mapping -------------------------------------------------------------------------------------------------

    /**
     * Maps a run; see {@link IommuDomain#map}.
     *
     * @param leafBits permissions and other bits of the leaves, without their size
     */
    void map(long iova, long physicalAddress, long pageSize, long count, long leafBits) {
        if ((pageSize & pageSizes) == 0 || (pageSize & (pageSize - 1)) != 0) {
            throw new IommuException(
                    Errno.ENXIO,
                    "no pages of 0x" + Long.toHexString(pageSize) + " bytes, sizes are 0x"
                            + Long.toHexString(pageSizes));
        }
        if (((iova | physicalAddress) & (pageSize - 1)) != 0 || count < 1) {
            throw new IommuException(
                    Errno.EINVAL,
                    count + " pages at IOVA 0x" + Long.toHexString(iova) + " to 0x"
                            + Long.toHexString(physicalAddress) + ", expected both aligned to 0x"
                            + Long.toHexString(pageSize) + " and at least 1");
        }
        int shift = Long.numberOfTrailingZeros(pageSize);
        if (Long.compareUnsigned(iova, end) > 0 || count - 1 > (end - iova) >>> shift) {
            throw new IommuException(
                    Errno.ERANGE,
                    count + " pages at IOVA 0x" + Long.toHexString(iova) + " end beyond 0x" + Long.toHexString(end));
        }
        if (physicalAddress >>> MAX_PHYSICAL_BITS != 0
                || count > ((1L << MAX_PHYSICAL_BITS) - physicalAddress) >>> shift) {
            throw new IommuException(
                    Errno.ERANGE,
                    count + " pages at physical address 0x" + Long.toHexString(physicalAddress) + " end beyond "
                            + MAX_PHYSICAL_BITS + " bits");
        }
        int level = levelOf(shift);
        long first = leafBits | physicalAddress | (level > 1 ? largeMask : 0);
        int index = index(iova, level);
        if (index + count <= SystemMemory.FRAME_WORDS) {
            long table = findTable(iova, level);
            if (table != NO_FRAME) {
                long entries = table + (long) index * 8;
                int run = (int) count;
                if (memory.leadingClear(entries, present, run) == run) {
                    storeLeaves(entries, first, pageSize, run);
                    return;
                }
            }
        }
        mapSlowly(iova, pageSize, count, level, first);
    }

    /** Maps a run that needs tables, spans several, or meets something: looks, allocates, and then stores. */
    private void mapSlowly(long iova, long pageSize, long count, int level, long first) {
        long stock = stock(countMissing(iova, pageSize, count, level));
        long retired = NO_FRAME;
        long at = iova;
        long leaf = first;
        long left = count;
        while (left > 0) {
            int run = (int) Math.min(left, SystemMemory.FRAME_WORDS - index(at, level));
            long table = root;
            for (int l = levels; l > level; l--) {
                long entryAddress = entryAddress(table, at, l);
                long entry = load(entryAddress);
                if (!isPresent(entry)) {
                    long next = memory.load(stock);
                    memory.store(stock, 0);
                    if (writeBack) {
                        memory.writeBack(stock, 8);
                    }
                    if (install(entryAddress, entry, stock)) {
                        entry = (tableBits | stock);
                        stock = next;
                    } else {
                        // Another thread was first with this table.
                        memory.store(stock, next);
                        entry = load(entryAddress);
                    }
                }
                table = entry & ADDRESS_MASK;
            }
            long entries = entryAddress(table, at, level);
            if (level > 1) {
                retired = collectTables(entries, run, retired);
            }
            storeLeaves(entries, leaf, pageSize, run);
            at += run * pageSize;
            leaf += run * pageSize;
            left -= run;
        }
        freeChain(stock);
        if (retired != NO_FRAME) {
            retire(retired, iova, pageSize, count, level);
        }
    }

    /** Has the unit forget the empty tables that leaves replaced; takes the leaves back when it does not. */
    private void retire(long retired, long iova, long pageSize, long count, int level) {
        try {
            retirement.retire(retired, iova, iova + count * pageSize - 1);
        } catch (IommuException e) {
            long at = iova;
            long left = count;
            while (left > 0) {
                int run = (int) Math.min(left, SystemMemory.FRAME_WORDS - index(at, level));
                clearEntries(entryAddress(findTable(at, level), at, level), run);
                at += run * pageSize;
                left -= run;
            }
            throw e;
        }
    }

    /**
     * Counts the tables that a run needs and that are not there.
     *
     * @throws IommuException EADDRINUSE when something is mapped in the run
     */
    private int countMissing(long iova, long pageSize, long count, int level) {
        int missing = 0;
        long at = iova;
        long left = count;
        while (left > 0) {
            int run = (int) Math.min(left, SystemMemory.FRAME_WORDS - index(at, level));
            long table = root;
            int l = levels;
            while (l > level) {
                long entry = load(entryAddress(table, at, l));
                if (!isPresent(entry)) {
                    break;
                }
                if (isLeaf(entry, l)) {
                    throw inUse(at);
                }
                table = entry & ADDRESS_MASK;
                l--;
            }
            if (l == level) {
                checkFree(entryAddress(table, at, level), run, level, at, pageSize);
            } else {
                // Tables at levels below l are missing; one that the last run shares was counted with it.
                for (int k = level; k < l; k++) {
                    int covers = PAGE_SHIFT + STRIDE * k;
                    if (at == iova || (at - 1) >>> covers != at >>> covers) {
                        missing++;
                    }
                }
            }
            at += run * pageSize;
            left -= run;
        }
        return missing;
    }

    private void checkFree(long entries, int run, int level, long iova, long pageSize) {
        for (int i = nextPresent(entries, 0, run); i < run; i = nextPresent(entries, i + 1, run)) {
            long entry = memory.load(entries + (long) i * 8);
            if (isPresent(entry) && (isLeaf(entry, level) || !isEmpty(entry & ADDRESS_MASK, level - 1))) {
                throw inUse(iova + i * pageSize);
            }
        }
    }

    /** Returns the index of the first present entry of a run from an index on, or the run's length. */
    private int nextPresent(long entries, int from, int run) {
        return from == run ? run : from + memory.leadingClear(entries + (long) from * 8, present, run - from);
    }

    private boolean isEmpty(long table, int level) {
        int run = SystemMemory.FRAME_WORDS;
        for (int i = nextPresent(table, 0, run); i < run; i = nextPresent(table, i + 1, run)) {
            if (level == 1) {
                return false;
            }
            long entry = memory.load(table + (long) i * 8);
            if (isPresent(entry) && (isLeaf(entry, level) || !isEmpty(entry & ADDRESS_MASK, level - 1))) {
                return false;
            }
        }
        return true;
    }

    /** Chains the empty tables below a run of entries that is about to be replaced. */
    private long collectTables(long entries, int run, long chain) {
        long result = chain;
        for (int i = nextPresent(entries, 0, run); i < run; i = nextPresent(entries, i + 1, run)) {
            long entry = memory.load(entries + (long) i * 8);
            if (isPresent(entry)) {
                // A run of 2 MiB leaves replaces tables of level 1, one of 1 GiB leaves trees of level 2.
                result = collectTree(entry & ADDRESS_MASK, result);
            }
        }
        return result;
    }

    private long collectTree(long table, long chain) {
        long result = chain;
        int run = SystemMemory.FRAME_WORDS;
        for (int i = nextPresent(table, 0, run); i < run; i = nextPresent(table, i + 1, run)) {
            long entry = memory.load(table + (long) i * 8);
            if (isPresent(entry)) {
                result = collectTree(entry & ADDRESS_MASK, result);
            }
        }
        // A frame's address has none of the bits that mean present: so the link looks to a unit that still walks here.
        memory.store(table, result);
        return table;
    }

    /** Allocates cleared frames, chained by their first words. */
    private long stock(int count) {
        long chain = NO_FRAME;
        try {
            for (int i = 0; i < count; i++) {
                long frame = frames.allocate(0);
                clearFrame(frame);
                memory.store(frame, chain);
                chain = frame;
            }
        } catch (IommuException e) {
            freeChain(chain);
            throw e;
        }
        return chain;
    }

    void freeChain(long chain) {
        long frame = chain;
        while (frame != NO_FRAME) {
            long next = memory.load(frame);
            frames.free(frame, 0);
            frame = next;
        }
    }

    int countChain(long chain) {
        int count = 0;
        for (long frame = chain; frame != NO_FRAME; frame = memory.load(frame)) {
            count++;
        }
        return count;
    }

    private boolean install(long entryAddress, long old, long frame) {
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

    /** Loads an entry, and makes sure that one which points to a table can be seen by a walk that does not snoop. */
    private long load(long entryAddress) {
        long entry = memory.load(entryAddress);
        if (writeBack && (entry & (writtenBack | largeMask)) == 0 && isPresent(entry)) {
            memory.writeBack(entryAddress, 8);
        }
        return entry;
    }

    private long findTable(long iova, int level) {
        long table = root;
        for (int l = levels; l > level; l--) {
            long entry = load(entryAddress(table, iova, l));
            if (!isPresent(entry) || (entry & largeMask) != 0) {
                return NO_FRAME;
            }
            table = entry & ADDRESS_MASK;
        }
        return table;
    }

    private void storeLeaves(long entries, long first, long pageSize, int run) {
        if (run == 1) {
            memory.store(entries, first);
        } else {
            memory.storeRun(entries, first, pageSize, run);
        }
        if (writeBack) {
            memory.writeBack(entries, (long) run * 8);
        }
    }

    private static IommuException inUse(long iova) {
        return new IommuException(Errno.EADDRINUSE, "IOVA 0x" + Long.toHexString(iova) + " is mapped already");
    }

    // ---- unmapping -----------------------------------------------------------------------------------------------

    /** Unmaps; see {@link IommuDomain#unmap}. */
    long unmap(long iova, long size, IotlbGather gather) {
        if (((iova | size) & (SystemMemory.FRAME_SIZE - 1)) != 0
                || size == 0
                || Long.compareUnsigned(iova, end) > 0
                || Long.compareUnsigned(size - 1, end - iova) > 0) {
            return 0;
        }
        long last = iova + size - 1;
        long at = iova;
        while (at <= last) {
            long next = unmapRun(at, last, gather);
            if (next == at) {
                break;
            }
            freeCovered(iova, next, last, gather);
            at = next;
        }
        return at - iova;
    }

    /** Clears the leaves from an address on, as far as their table and the range go; returns where it got to. */
    private long unmapRun(long at, long last, IotlbGather gather) {
        long table = root;
        for (int level = levels; ; level--) {
            long entryAddress = entryAddress(table, at, level);
            long entry = memory.load(entryAddress);
            if (!isPresent(entry)) {
                return at;
            }
            if (isLeaf(entry, level)) {
                int shift = PAGE_SHIFT + STRIDE * (level - 1);
                if ((at & ((1L << shift) - 1)) != 0) {
                    return at;
                }
                int wanted = (int) Math.min(SystemMemory.FRAME_WORDS - index(at, level), ((last - at) >>> shift) + 1);
                long leafMask = level == 1 ? present : largeMask;
                int run = wanted == 1 ? 1 : memory.leadingSet(entryAddress, leafMask, wanted);
                clearEntries(entryAddress, run);
                long next = at + ((long) run << shift);
                gather.addRange(at, next - 1);
                return next;
            }
            table = entry & ADDRESS_MASK;
        }
    }

    /** Takes out the tables whose whole range lies in what was unmapped and ends where it got to. */
    private void freeCovered(long iova, long next, long last, IotlbGather gather) {
        for (int level = 1; level < levels; level++) {
            long covers = 1L << (PAGE_SHIFT + STRIDE * level);
            // Only tables below the root, that end here, and that the caller asked to unmap from their first byte.
            if ((next & (covers - 1)) != 0 || next - covers < iova || next - 1 > last) {
                return;
            }
            long parent = findParent(next - covers, level + 1);
            if (parent == NO_FRAME) {
                // A leaf of this size was here, and no table.
                continue;
            }
            long entry = memory.load(parent);
            if (!isPresent(entry) || isLeaf(entry, level + 1)) {
                continue;
            }
            clearEntries(parent, 1);
            long frame = entry & ADDRESS_MASK;
            if (!gather.addFrame(frame)) {
                retirement.makeRoom(gather);
                gather.addFrame(frame);
            }
            gather.addRange(next - covers, next - 1);
        }
    }

    /** Finds the address of an entry, or {@link #NO_FRAME} when the walk ends above it. */
    private long findParent(long iova, int level) {
        long table = root;
        for (int l = levels; l > level; l--) {
            long entry = memory.load(entryAddress(table, iova, l));
            if (!isPresent(entry) || (entry & largeMask) != 0) {
                return NO_FRAME;
            }
            table = entry & ADDRESS_MASK;
        }
        return entryAddress(table, iova, level);
    }

    private void clearEntries(long entries, int run) {
        if (run == 1) {
            memory.store(entries, 0);
        } else {
            memory.storeRun(entries, 0, 0, run);
        }
        if (writeBack) {
            memory.writeBack(entries, (long) run * 8);
        }
    }

    // ---- walking -------------------------------------------------------------------------------------------------

    /** Walks; see {@link IommuDomain#translate}. */
    long translate(long iova) {
        if (Long.compareUnsigned(iova, end) > 0) {
            return IommuDomain.UNMAPPED;
        }
        long table = root;
        for (int level = levels; ; level--) {
            long entry = memory.load(entryAddress(table, iova, level));
            if (!isPresent(entry)) {
                return IommuDomain.UNMAPPED;
            }
            if (isLeaf(entry, level)) {
                long offset = (1L << (PAGE_SHIFT + STRIDE * (level - 1))) - 1;
                return (entry & ADDRESS_MASK & ~offset) | (iova & offset);
            }
            table = entry & ADDRESS_MASK;
        }
    }

    /**
     * Marks the leaves that were written, in the range of a bitmap.
     *
     * @param clear whether to clear their dirty bits, and add their range to the gather
     */
    void readDirty(DirtyBitmap bitmap, boolean clear, IotlbGather gather) {
        if (Long.compareUnsigned(bitmap.start(), end) > 0) {
            return;
        }
        long last = Math.min(bitmap.size() - 1, end - bitmap.start()) + bitmap.start();
        long at = bitmap.start();
        while (at <= last) {
            long table = root;
            int level = levels;
            long entryAddress = entryAddress(table, at, level);
            long entry = memory.load(entryAddress);
            while (isPresent(entry) && !isLeaf(entry, level)) {
                table = entry & ADDRESS_MASK;
                level--;
                entryAddress = entryAddress(table, at, level);
                entry = memory.load(entryAddress);
            }
            long size = 1L << (PAGE_SHIFT + STRIDE * (level - 1));
            long first = at & -size;
            if (isPresent(entry) && (entry & dirty) != 0) {
                bitmap.mark(first, size);
                if (clear) {
                    clearDirty(entryAddress, entry);
                    gather.addRange(first, first + size - 1);
                }
            }
            at = first + size;
        }
    }

    private void clearDirty(long entryAddress, long seen) {
        long entry = seen;
        // The unit sets bits meanwhile, and another thread may unmap.
        while ((entry & dirty) != 0 && !memory.compareAndSet(entryAddress, entry, entry & ~dirty)) {
            entry = memory.load(entryAddress);
        }
        if (writeBack) {
            memory.writeBack(entryAddress, 8);
        }
    }

    /** Returns how many frames the table has, its root included. */
    long countFrames() {
        return countFrames(root, levels);
    }

    private long countFrames(long table, int level) {
        long count = 1;
        for (int i = 0; level > 1 && i < SystemMemory.FRAME_WORDS; i++) {
            long entry = memory.load(table + (long) i * 8);
            if (isPresent(entry) && !isLeaf(entry, level)) {
                count += countFrames(entry & ADDRESS_MASK, level - 1);
            }
        }
        return count;
    }

    /** Frees all frames; the table is gone then. */
    void free() {
        free(root, levels);
    }

    private void free(long table, int level) {
        for (int i = 0; level > 1 && i < SystemMemory.FRAME_WORDS; i++) {
            long entry = memory.load(table + (long) i * 8);
            if (isPresent(entry) && !isLeaf(entry, level)) {
                free(entry & ADDRESS_MASK, level - 1);
            }
        }
        frames.free(table, 0);
    }

    private void clearFrame(long frame) {
        memory.storeRun(frame, 0, 0, SystemMemory.FRAME_WORDS);
        if (writeBack) {
            memory.writeBack(frame, SystemMemory.FRAME_SIZE);
        }
    }

    private boolean isPresent(long entry) {
        return (entry & present) != 0;
    }

    private boolean isLeaf(long entry, int level) {
        return level == 1 || (entry & largeMask) != 0;
    }

    private static int levelOf(int shift) {
        return (shift - PAGE_SHIFT) / STRIDE + 1;
    }

    private static int index(long iova, int level) {
        return (int) (iova >>> (PAGE_SHIFT + STRIDE * (level - 1))) & INDEX_MASK;
    }

    private static long entryAddress(long table, long iova, int level) {
        return table + (long) index(iova, level) * 8;
    }
}
