// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.riscv.fmt.PageEntry;

/** Unmaps ranges of a {@link PageTable}. Never allocates, and splits no page. */
final class PageUnmapper {
    private final PageTable table;
    private final Retirement retirement;
    private final SystemMemory memory;

    PageUnmapper(PageTable table, Retirement retirement) {
        this.table = table;
        this.retirement = retirement;
        this.memory = table.memory();
    }

    /** Unmaps; see {@link IommuDomain#unmap}. */
    long unmap(long iova, long size, IotlbGather gather) {
        long end = table.lastAddress();
        if (((iova | size) & (SystemMemory.FRAME_SIZE - 1)) != 0
                || size == 0
                || Long.compareUnsigned(iova, end) > 0
                || Long.compareUnsigned(size - 1, end - iova) > 0) {
            return 0;
        }
        long last = iova + size - 1;
        long at = iova;
        while (at <= last) {
            long next = unmapRun(iova, at, last, gather);
            if (next == at) {
                break;
            }
            at = next;
        }
        if (at != iova) {
            gather.addRange(iova, at - 1);
        }
        return at - iova;
    }

    /**
     * Clears the leaves from an address on, up to the end of their table or of the range; returns the address after.
     */
    private long unmapRun(long iova, long at, long last, IotlbGather gather) {
        long place = table.descend(at, 1);
        int level = PageTable.levelAt(place);
        int shift = PageTable.shift(level);
        long entries = PageTable.entryAt(place);
        if ((at & ((1L << shift) - 1)) != 0 || (level > 1 && !PageTable.endsAtLeaf(place))) {
            return at;
        }
        int most = (int) Math.min(SystemMemory.FRAME_WORDS - PageTable.index(at, level), ((last - at) >>> shift) + 1);
        int run = clearLeaves(entries, level, PageTable.index(at, level), most);
        long next = at + ((long) run << shift);
        if (run != 0 && PageTable.index(next, level) == 0) {
            freeCovered(level, iova, next, last, gather);
        }
        return next;
    }

    /**
     * Clears leaves that follow each other in a table; a page of several entries may end beyond the range.
     *
     * @param index of the first entry in its table
     * @return how many entries
     */
    private int clearLeaves(long entries, int level, int index, int most) {
        int run = 0;
        while (run < most) {
            int more = countLeaf(entries + ((long) run << PageTable.ENTRY_SHIFT), level, index + run, most - run);
            if (more == 0) {
                break;
            }
            run += more;
        }
        if (run != 0) {
            table.clearEntries(entries, run);
        }
        return run;
    }

    /** Returns how many entries one page has, or several of one entry; 0 where no page starts. */
    private int countLeaf(long entries, int level, int index, int most) {
        long entry = memory.load(entries);
        if (!PageTable.isPresent(entry) || PageTable.isTable(entry)) {
            return 0;
        }
        int slots = PageTable.slots(entry);
        if (slots > 1) {
            return (index & (slots - 1)) == 0 ? slots : 0;
        }
        if (most == 1) {
            return 1;
        }
        int leaves = memory.leadingSet(entries, PageEntry.LEAF, most);
        return level > 1 ? leaves : memory.leadingClear(entries, PageEntry.N.mask(), leaves);
    }

    /**
     * Removes the tables that end at the unmapped address and lie completely in the unmapped range. Only the leaves'
     * own table and those above it can.
     */
    private void freeCovered(int leafLevel, long iova, long next, long last, IotlbGather gather) {
        for (int level = leafLevel; level < table.levels(); level++) {
            long covers = 1L << PageTable.shift(level + 1);
            // Only tables below the root that end here and whose first byte is in the range to unmap.
            if ((next & (covers - 1)) != 0 || next - covers < iova || next - 1 > last) {
                return;
            }
            long place = table.descend(next - covers, level + 1);
            long entry = memory.load(PageTable.entryAt(place));
            if (PageTable.levelAt(place) > level + 1 || !PageTable.isTable(entry)) {
                continue; // another thread has changed it
            }
            table.clearEntries(PageTable.entryAt(place), 1);
            long frame = PageTable.frame(entry);
            if (!gather.addFrame(frame, 0)) {
                retirement.makeRoom(gather);
                gather.addFrame(frame, 0);
            }
        }
    }
}
