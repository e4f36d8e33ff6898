// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.platform.SystemMemory;

/** Unmaps ranges of a {@link PageTable}. Never allocates, and splits no page. */
final class PageUnmapper {
    private final PageTable table;
    private final Retirement retirement;
    private final SystemMemory memory;

    PageUnmapper(PageTable table, Retirement retirement) {
        this.table = table;
        this.retirement = retirement;
        this.memory = table.memory;
    }

    /** Unmaps; see {@link IommuDomain#unmap}. */
    long unmap(long iova, long size, IotlbGather gather) {
        long end = iova + size - 1;
        if (size == 0
                || ((iova | size) & (SystemMemory.FRAME_SIZE - 1)) != 0
                || Long.compareUnsigned(end, iova) < 0
                || Long.compareUnsigned(end, table.lastAddress()) > 0) {
            return 0;
        }
        long last = PageTable.minUnsigned(end, PageTable.lastReachable(table.levels()));
        long at = iova;
        while (Long.compareUnsigned(at, last) <= 0) {
            long next = unmapRun(iova, at, last, gather);
            if (next == at) {
                break;
            }
            at = next;
            if (at == 0) {
                break; // the end of all addresses
            }
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
        long wanted = (last - at) >>> shift;
        long next;
        if (wanted != 0) {
            next = unmapLeaves(entries, level, at, wanted + 1);
        } else if (PageTable.endsAtWholeLeaf(place)) {
            // The walk has seen all that there is to know: no second look at the entry.
            if ((at & ((1L << shift) - 1)) != 0) {
                return at;
            }
            table.clearEntries(entries, 1);
            next = at + (1L << shift);
        } else {
            next = at + ((long) clearLeaves(entries, level, at, 1) << shift);
        }
        if (PageTable.index(next, level) == 0 && next != at) {
            freeCovered(level, iova, next, last, gather);
        }
        return next;
    }

    /** Clears leaves that follow each other in a table; a page of several entries may end beyond the range. */
    private long unmapLeaves(long entries, int level, long iova, long wanted) {
        int most = (int) Math.min(SystemMemory.FRAME_WORDS - PageTable.index(iova, level), wanted);
        int shift = PageTable.shift(level);
        int done = 0;
        while (done < most) {
            int run = clearLeaves(
                    entries + ((long) done << PageTable.ENTRY_SHIFT),
                    level,
                    iova + ((long) done << shift),
                    most - done);
            if (run == 0) {
                break;
            }
            done += run;
        }
        return iova + ((long) done << shift);
    }

    /** Clears one page, or several of the level's own size; returns how many entries, 0 where no page starts. */
    private int clearLeaves(long entries, int level, long iova, int most) {
        long entry = memory.load(entries);
        if (!PageTable.isPresent(entry) || table.isTable(entry, level)) {
            return 0;
        }
        int leafShift = table.leafShift(entry, level);
        if ((iova & ((1L << leafShift) - 1)) != 0) {
            return 0;
        }
        int run;
        if (leafShift != PageTable.shift(level)) {
            run = 1 << (leafShift - PageTable.shift(level));
        } else {
            run = most == 1 ? 1 : table.plainRun(entries, level, most);
        }
        table.clearEntries(entries, run);
        return run;
    }

    /**
     * Removes the tables that end at the unmapped address and lie completely in the unmapped range. Only the leaves'
     * own table and those above it can.
     */
    private void freeCovered(int leafLevel, long iova, long next, long last, IotlbGather gather) {
        for (int level = leafLevel; level < table.levels(); level++) {
            long covers = 1L << PageTable.shift(level + 1);
            // Only tables below the root that end here and whose first byte is in the range to unmap.
            if ((next & (covers - 1)) != 0
                    || Long.compareUnsigned(next - covers, iova) < 0
                    || Long.compareUnsigned(next - 1, last) > 0) {
                return;
            }
            long place = table.descend(next - covers, level + 1);
            long entry = memory.load(PageTable.entryAt(place));
            if (PageTable.levelAt(place) > level + 1
                    || !PageTable.isPresent(entry)
                    || !table.isTable(entry, level + 1)) {
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
