// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.TableFrames;

/**
 * Maps runs of pages in a {@link PageTable}.
 *
 * <p>Mapping is all or nothing: before the first entry changes, the range is checked for existing mappings and every
 * frame is allocated.
 */
final class PageMapper {
    private static final int MAX_PHYSICAL_BITS = 52;

    private final PageTable table;
    private final Retirement retirement;
    private final SystemMemory memory;
    private final TableFrames frames;

    PageMapper(PageTable table, Retirement retirement) {
        this.table = table;
        this.retirement = retirement;
        this.memory = table.memory();
        this.frames = table.frames();
    }

    /**
     * Maps a run; see {@link IommuDomain#map}.
     *
     * @param leafBits permissions and other bits of the leaves, without their size
     */
    void map(long iova, long physicalAddress, long pageSize, long count, long leafBits) {
        check(iova, physicalAddress, pageSize, count);
        int level = PageTable.levelOf(Long.numberOfTrailingZeros(pageSize));
        long first = leafBits | physicalAddress | table.leafBit(level);
        if (PageTable.index(iova, level) + count <= SystemMemory.FRAME_WORDS) {
            long place = table.descend(iova, level, true);
            int run = (int) count;
            if (PageTable.levelAt(place) == level && table.areFree(PageTable.entryAt(place), run)) {
                table.storeLeaves(PageTable.entryAt(place), first, pageSize, run);
                return;
            }
        }
        mapSlowly(iova, pageSize, count, level, first);
    }

    private void check(long iova, long physicalAddress, long pageSize, long count) {
        int shift = Long.numberOfTrailingZeros(pageSize);
        if ((pageSize & table.pageSizes()) == 0 || (pageSize & (pageSize - 1)) != 0) {
            throw new IommuException(
                    Errno.ENXIO,
                    "no pages of 0x" + Long.toHexString(pageSize) + " bytes, sizes are 0x"
                            + Long.toHexString(table.pageSizes()));
        }
        if (((iova | physicalAddress) & (pageSize - 1)) != 0 || count < 1) {
            throw new IommuException(
                    Errno.EINVAL,
                    count + " pages at IOVA 0x" + Long.toHexString(iova) + " to 0x"
                            + Long.toHexString(physicalAddress) + ", expected both aligned to 0x"
                            + Long.toHexString(pageSize) + " and at least 1");
        }
        if (Long.compareUnsigned(iova, table.end()) > 0 || count - 1 > (table.end() - iova) >>> shift) {
            throw new IommuException(
                    Errno.ERANGE,
                    count + " pages at IOVA 0x" + Long.toHexString(iova) + " end beyond 0x"
                            + Long.toHexString(table.end()));
        }
        if (physicalAddress >>> MAX_PHYSICAL_BITS != 0
                || count > ((1L << MAX_PHYSICAL_BITS) - physicalAddress) >>> shift) {
            throw new IommuException(
                    Errno.ERANGE,
                    count + " pages at physical address 0x" + Long.toHexString(physicalAddress) + " end beyond "
                            + MAX_PHYSICAL_BITS + " bits");
        }
    }

    /**
     * Maps a run that needs tables, spans several, or meets entries: checks, allocates frames, then links and stores.
     */
    private void mapSlowly(long iova, long pageSize, long count, int level, long first) {
        long stock = frames.take(countMissing(iova, pageSize, count, level), table.writesBack());
        long replaced = TableFrames.NONE;
        long at = iova;
        long leaf = first;
        long left = count;
        while (left > 0) {
            int run = inTable(at, left, level);
            long place = table.descend(at, level, true);
            while (PageTable.levelAt(place) > level) {
                long rest = link(place, stock, at);
                place = rest == stock
                        ? table.descend(at, level, true)
                        : PageTable.place(stock, at, PageTable.levelAt(place) - 1);
                stock = rest;
            }
            long entries = PageTable.entryAt(place);
            if (level > 1) {
                replaced = collectTables(entries, run, replaced);
            }
            table.storeLeaves(entries, leaf, pageSize, run);
            at += run * pageSize;
            leaf += run * pageSize;
            left -= run;
        }
        frames.freeChain(stock);
        if (replaced != TableFrames.NONE) {
            retire(replaced, iova, pageSize, count, level);
        }
    }

    /** Returns how many of the remaining pages have their entries in the first page's table. */
    private static int inTable(long iova, long left, int level) {
        return (int) Math.min(left, SystemMemory.FRAME_WORDS - PageTable.index(iova, level));
    }

    /**
     * Links the first table of the chain where a walk ended, and returns the rest; the whole chain when another thread
     * was first.
     */
    private long link(long place, long stock, long iova) {
        if (PageTable.endsAtLeaf(place)) {
            throw inUse(iova);
        }
        long entryAddress = PageTable.entryAt(place);
        long entry = memory.load(entryAddress);
        if (table.isPresent(entry)) {
            return stock;
        }
        if (stock == TableFrames.NONE) {
            throw new IllegalStateException("no table left for level " + (PageTable.levelAt(place) - 1) + " at IOVA 0x"
                    + Long.toHexString(iova));
        }
        long rest = frames.next(stock);
        memory.store(stock, 0);
        if (table.writesBack()) {
            memory.writeBack(stock, 8);
        }
        return table.link(entryAddress, entry, stock) ? rest : frames.push(rest, stock);
    }

    // ---- checks --------------------------------------------------------------------------------------------------

    /**
     * Counts the missing tables that a run needs.
     *
     * @throws IommuException EADDRINUSE when a page of the run is mapped
     */
    private int countMissing(long iova, long pageSize, long count, int level) {
        int missing = 0;
        long at = iova;
        long left = count;
        while (left > 0) {
            int run = inTable(at, left, level);
            long place = table.descend(at, level, true);
            int reached = PageTable.levelAt(place);
            if (reached == level) {
                checkFree(PageTable.entryAt(place), run, level, at, pageSize);
            } else {
                if (PageTable.endsAtLeaf(place)) {
                    throw inUse(at);
                }
                // Tables below the level reached are missing; one that the last run shares was counted with it.
                for (int below = level; below < reached; below++) {
                    int covers = PageTable.shift(below + 1);
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
        for (int i = table.nextPresent(entries, 0, run); i < run; i = table.nextPresent(entries, i + 1, run)) {
            long entry = memory.load(entries + (long) i * 8);
            if (isInUse(entry, level)) {
                throw inUse(iova + i * pageSize);
            }
        }
    }

    /** Returns whether an entry is a leaf, or leads to one. */
    private boolean isInUse(long entry, int level) {
        if (!table.isPresent(entry)) {
            return false;
        }
        if (table.isLeaf(entry, level)) {
            return true;
        }
        long below = PageTable.frame(entry);
        int run = SystemMemory.FRAME_WORDS;
        for (int i = table.nextPresent(below, 0, run); i < run; i = table.nextPresent(below, i + 1, run)) {
            if (level == 2 || isInUse(memory.load(below + (long) i * 8), level - 1)) {
                return true;
            }
        }
        return false;
    }

    private static IommuException inUse(long iova) {
        return new IommuException(Errno.EADDRINUSE, "IOVA 0x" + Long.toHexString(iova) + " is already mapped");
    }

    // ---- tables that leaves replace --------------------------------------------------------------------------------

    /** Chains the empty tables below a run of entries that is about to be replaced. */
    private long collectTables(long entries, int run, long chain) {
        long result = chain;
        for (int i = table.nextPresent(entries, 0, run); i < run; i = table.nextPresent(entries, i + 1, run)) {
            long entry = memory.load(entries + (long) i * 8);
            if (table.isPresent(entry)) {
                // A run of 2 MiB leaves replaces tables of level 1, one of 1 GiB leaves trees of level 2.
                result = collectTree(PageTable.frame(entry), result);
            }
        }
        return result;
    }

    private long collectTree(long tree, long chain) {
        return frames.push(collectTables(tree, SystemMemory.FRAME_WORDS, chain), tree);
    }

    /** Invalidates the empty tables that leaves replaced; removes the leaves when that fails. */
    private void retire(long replaced, long iova, long pageSize, long count, int level) {
        try {
            retirement.retire(replaced, iova, iova + count * pageSize - 1);
        } catch (IommuException e) {
            long at = iova;
            long left = count;
            while (left > 0) {
                int run = inTable(at, left, level);
                table.clearEntries(PageTable.entryAt(table.descend(at, level, true)), run);
                at += run * pageSize;
                left -= run;
            }
            throw e;
        }
    }
}
