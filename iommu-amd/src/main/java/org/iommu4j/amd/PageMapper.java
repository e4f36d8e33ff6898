// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.Prot;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.TableFrames;

/**
 * Maps runs of pages in a {@link PageTable}.
 *
 * <p>Mapping is all or nothing without undoing: the range is checked and the frames are allocated before the first
 * entry is written.
 */
final class PageMapper {
    /** Makes a table taller, and updates the hardware that walks it. */
    interface Growth {
        /**
         * Grows the table, one thread at a time, by calling {@link HostPageTable#growTo} and updating the hardware.
         *
         * @throws IommuException ENOMEM, ETIMEDOUT or EIO; the table is unchanged
         */
        void grow(int levels);
    }

    private final PageTable table;
    private final Retirement retirement;
    private final Growth growth;
    private final SystemMemory memory;
    private final TableFrames frames;

    PageMapper(PageTable table, Retirement retirement, Growth growth) {
        this.table = table;
        this.retirement = retirement;
        this.growth = growth;
        this.memory = table.memory;
        this.frames = table.frames();
    }

    /** Maps a run; see {@link IommuDomain#map}. */
    void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
        check(iova, physicalAddress, pageSize, count, prot);
        int sizeShift = Long.numberOfTrailingZeros(pageSize);
        long last = lastByte(iova, physicalAddress, sizeShift, count);
        int level = PageTable.levelOf(sizeShift);
        int needed = Math.max(level, table.levelsFor(last));
        if (needed > table.levels()) {
            growth.grow(needed);
        }
        int slots = 1 << (sizeShift - PageTable.shift(level));
        long first = table.leaf(physicalAddress, sizeShift, prot);
        // The common case: the run is inside one existing table.
        if ((iova ^ last) >>> PageTable.shift(level + 1) == 0) {
            long place = table.descend(iova, level);
            long entries = PageTable.entryAt(place);
            int run = (int) count * slots;
            if (PageTable.levelAt(place) == level && memory.leadingClear(entries, PageTable.PRESENT, run) == run) {
                table.storeLeaves(entries, first, pageSize, (int) count, slots);
                return;
            }
        }
        mapSlowly(iova, last, level, first, pageSize, slots);
    }

    private void check(long iova, long physicalAddress, long pageSize, long count, int prot) {
        if ((prot & Prot.READ_WRITE) == 0) {
            throw refuse(Errno.EINVAL, iova, "neither READ nor WRITE in " + Prot.toString(prot));
        }
        if (Long.bitCount(pageSize) != 1 || (pageSize & table.pageSizes()) == 0) {
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
    }

    private long lastByte(long iova, long physicalAddress, int sizeShift, long count) {
        long size = count << sizeShift;
        long lastIova = iova + size - 1;
        long lastPhysical = physicalAddress + size - 1;
        if (size >>> sizeShift != count
                || Long.compareUnsigned(lastIova, iova) < 0
                || Long.compareUnsigned(lastIova, table.lastAddress()) > 0) {
            throw refuse(
                    Errno.ERANGE,
                    iova,
                    count + " pages of 2^" + sizeShift + " bytes do not end before 0x"
                            + Long.toHexString(table.lastAddress()));
        }
        if (Long.compareUnsigned(lastPhysical, physicalAddress) < 0 || lastPhysical >>> PageTable.PHYSICAL_BITS != 0) {
            throw refuse(
                    Errno.ERANGE,
                    iova,
                    "physical address 0x" + Long.toHexString(physicalAddress) + " and 0x" + Long.toHexString(size)
                            + " bytes need more than " + PageTable.PHYSICAL_BITS + " bits");
        }
        return lastIova;
    }

    /**
     * Maps a run that needs tables, spans several, or meets entries: checks, allocates frames, then links and stores.
     */
    private void mapSlowly(long iova, long last, int level, long first, long pageSize, int slots) {
        long stock = frames.take(countMissing(iova, last, level), false);
        long replaced = TableFrames.NONE;
        long leaf = first;
        for (long at = iova; ; ) {
            long place = table.descend(at, level);
            while (PageTable.levelAt(place) > level) {
                long rest = link(place, stock, at);
                place = rest == stock
                        ? table.descend(at, level)
                        : PageTable.place(stock, at, PageTable.levelAt(place) - 1);
                stock = rest;
            }
            long lastHere = PageTable.lastInTable(at, last, PageTable.shift(level + 1));
            int run = entries(at, lastHere, level);
            replaced = takeOutTables(PageTable.entryAt(place), run, level, replaced);
            table.storeLeaves(PageTable.entryAt(place), leaf, pageSize, run / slots, slots);
            leaf += (long) (run / slots) * pageSize;
            if (lastHere == last) {
                break;
            }
            at = lastHere + 1;
        }
        frames.freeChain(stock);
        if (replaced != TableFrames.NONE) {
            retire(replaced, iova, last, level);
        }
    }

    /** Returns how many entries of a table cover a range. */
    private static int entries(long iova, long last, int level) {
        return (int) ((last - iova) >>> PageTable.shift(level)) + 1;
    }

    /**
     * Links the first table of the chain where a walk ended, and returns the rest; the whole chain when another thread
     * was first.
     */
    private long link(long place, long stock, long iova) {
        long entryAddress = PageTable.entryAt(place);
        long entry = memory.load(entryAddress);
        if (PageTable.endsAtLeaf(place)) {
            throw inUse(iova, entry);
        }
        if (PageTable.isPresent(entry)) {
            return stock;
        }
        int level = PageTable.levelAt(place) - 1;
        if (stock == TableFrames.NONE) {
            throw new IllegalStateException(
                    "no table left for level " + level + " at iova 0x" + Long.toHexString(iova));
        }
        long rest = frames.next(stock);
        memory.store(stock, 0);
        return table.link(entryAddress, entry, stock, level) ? rest : frames.push(rest, stock);
    }

    // --- checks ---

    /**
     * Counts the missing tables that a run needs; fewer may be missing when they are linked.
     *
     * @throws IommuException EADDRINUSE when a page of the run is mapped
     */
    private long countMissing(long iova, long last, int level) {
        long missing = 0;
        for (long at = iova; ; ) {
            long place = table.descend(at, level);
            int reached = PageTable.levelAt(place);
            long here;
            if (reached == level) {
                here = PageTable.lastInTable(at, last, PageTable.shift(level + 1));
                checkFree(PageTable.entryAt(place), entries(at, here, level), level, at);
            } else {
                if (PageTable.endsAtLeaf(place)) {
                    throw inUse(at, memory.load(PageTable.entryAt(place)));
                }
                here = PageTable.lastInTable(at, last, PageTable.shift(reached));
                for (int below = level; below < reached; below++) {
                    int covers = PageTable.shift(below + 1);
                    missing += (here >>> covers) - (at >>> covers) + 1;
                }
            }
            if (here == last) {
                return missing;
            }
            at = here + 1;
        }
    }

    private void checkFree(long entries, int run, int level, long iova) {
        for (int i = table.nextPresent(entries, 0, run); i < run; i = table.nextPresent(entries, i + 1, run)) {
            long entry = memory.load(entries + ((long) i << PageTable.ENTRY_SHIFT));
            long covered = iova + ((long) i << PageTable.shift(level));
            if (!table.isTable(entry, level)) {
                throw inUse(covered, entry);
            }
            checkFree(PageTable.frame(entry), SystemMemory.FRAME_WORDS, level - 1, covered);
        }
    }

    private IommuException inUse(long iova, long entry) {
        return refuse(Errno.EADDRINUSE, iova, "already mapped: " + table.decode(entry));
    }

    private static IommuException refuse(Errno errno, long iova, String what) {
        return new IommuException(errno, "map at iova 0x" + Long.toHexString(iova) + ": " + what);
    }

    // --- tables that leaves replace ---

    /** Removes empty tables, and those under them, from a run of entries and adds them to a chain. */
    private long takeOutTables(long entries, int run, int level, long chain) {
        long result = chain;
        for (int i = table.nextPresent(entries, 0, run); i < run; i = table.nextPresent(entries, i + 1, run)) {
            long entryAddress = entries + ((long) i << PageTable.ENTRY_SHIFT);
            result = collectTree(PageTable.frame(memory.load(entryAddress)), level - 1, result);
            memory.store(entryAddress, 0);
        }
        return result;
    }

    private long collectTree(long tree, int level, long chain) {
        long result = chain;
        int run = level > 1 ? SystemMemory.FRAME_WORDS : 0;
        for (int i = table.nextPresent(tree, 0, run); i < run; i = table.nextPresent(tree, i + 1, run)) {
            long entry = memory.load(tree + ((long) i << PageTable.ENTRY_SHIFT));
            result = collectTree(PageTable.frame(entry), level - 1, result);
        }
        return frames.push(result, tree);
    }

    /** Invalidates the empty tables that leaves replaced; removes the leaves when that fails in a unit. */
    private void retire(long replaced, long iova, long last, int level) {
        try {
            retirement.retire(replaced, iova, last);
        } catch (IommuException e) {
            for (long at = iova; ; ) {
                long lastHere = PageTable.lastInTable(at, last, PageTable.shift(level + 1));
                table.clearEntries(PageTable.entryAt(table.descend(at, level)), entries(at, lastHere, level));
                if (lastHere == last) {
                    throw e;
                }
                at = lastHere + 1;
            }
        }
    }
}
