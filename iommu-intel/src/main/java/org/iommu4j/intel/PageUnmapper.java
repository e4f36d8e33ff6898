// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

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
        this.memory = table.memory();
    }

    /** Unmaps; see {@link IommuDomain#unmap}. */
    long unmap(long iova, long size, IotlbGather gather) {
        long end = table.end();
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
        return at - iova;
    }

    /**
     * Clears the leaves from an address on, up to the end of their table or of the range; returns the address after.
     */
    private long unmapRun(long iova, long at, long last, IotlbGather gather) {
        long place = table.descend(at, 1, false);
        int level = PageTable.levelAt(place);
        long entries = PageTable.entryAt(place);
        if (level > 1 ? !PageTable.endsAtLeaf(place) : !table.isPresent(memory.load(entries))) {
            return at;
        }
        int shift = PageTable.shift(level);
        if ((at & ((1L << shift) - 1)) != 0) {
            return at;
        }
        int wanted = (int) Math.min(SystemMemory.FRAME_WORDS - PageTable.index(at, level), ((last - at) >>> shift) + 1);
        int run = table.countLeaves(entries, level, wanted);
        table.clearEntries(entries, run);
        long next = at + ((long) run << shift);
        gather.addRange(at, next - 1);
        if (PageTable.index(next, level) == 0) {
            freeCovered(level, iova, next, last, gather);
        }
        return next;
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
            long place = table.descend(next - covers, level + 1, false);
            long entry = memory.load(PageTable.entryAt(place));
            if (PageTable.levelAt(place) > level + 1 || !table.isPresent(entry) || table.isLeaf(entry, level + 1)) {
                continue; // another thread has changed it
            }
            table.clearEntries(PageTable.entryAt(place), 1);
            long frame = PageTable.frame(entry);
            if (!gather.addFrame(frame, 0)) {
                retirement.makeRoom(gather);
                gather.addFrame(frame, 0);
            }
            gather.addRange(next - covers, next - 1);
        }
    }
}
