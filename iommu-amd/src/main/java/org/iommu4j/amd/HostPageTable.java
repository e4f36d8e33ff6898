// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.iommu4j.amd.fmt.HostPageEntry.D;
import static org.iommu4j.amd.fmt.HostPageEntry.ENCODED_SIZE;
import static org.iommu4j.amd.fmt.HostPageEntry.FC;
import static org.iommu4j.amd.fmt.HostPageEntry.IR;
import static org.iommu4j.amd.fmt.HostPageEntry.IW;
import static org.iommu4j.amd.fmt.HostPageEntry.NEXT_LEVEL;

import org.iommu4j.DirtyBitmap;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.amd.AmdRules.DirtyLeaves;
import org.iommu4j.amd.fmt.HostPageEntry;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.TableFrames;

/**
 * A host (v1) page table, 48882 section 2.2.3: every page size, FC in every leaf, and a root that grows.
 *
 * <p>Linux always maps with FC ({@code PT_FEAT_AMDV1_FORCE_COHERENCE}), so nothing is left to enforce later.
 */
final class HostPageTable extends PageTable {
    /** Every power of two from 4 KiB on, except 512 GiB, which hardware handles wrongly. */
    static final long ALL_PAGE_SIZES = -1L << MIN_SHIFT & ~(1L << 39);

    /** All page sizes below the 52 bits of a physical address. */
    static final long PAGE_SIZES = ALL_PAGE_SIZES & ADDRESS;

    private static final LeafMark LEAF = new LeafMark(NEXT_LEVEL.mask(), 0, NEXT_LEVEL.of(ENCODED_SIZE));

    /**
     * Makes an empty table.
     *
     * @param startLevels levels to start with
     * @param maxLevels levels that every unit can walk
     * @param addressBits bits of a device's address, 64 for as many as the levels have
     * @param pageSizes page sizes, as a bitmap: {@link #PAGE_SIZES} or {@link #ALL_PAGE_SIZES}
     * @throws IommuException ENOMEM
     */
    HostPageTable(
            SystemMemory memory, TableFrames frames, int startLevels, int maxLevels, int addressBits, long pageSizes) {
        super(memory, frames, LEAF, startLevels, maxLevels, Math.min(addressBits, shift(maxLevels + 1)), pageSizes);
    }

    // --- the format ---

    @Override
    long leaf(long physicalAddress, int sizeShift, int prot) {
        long permissions = ((prot & Prot.READ) != 0 ? IR.mask() : 0) | ((prot & Prot.WRITE) != 0 ? IW.mask() : 0);
        return HostPageEntry.leaf(physicalAddress, sizeShift, permissions, FC.mask());
    }

    @Override
    long tableEntry(long physicalAddress, int level) {
        return HostPageEntry.table(physicalAddress, level);
    }

    @Override
    int leafShift(long entry, int level) {
        return HostPageEntry.leafShift(entry, level);
    }

    @Override
    int plainRun(long entryAt, int level, int most) {
        return memory.leadingClear(entryAt, NEXT_LEVEL.mask(), memory.leadingSet(entryAt, PRESENT, most));
    }

    @Override
    String decode(long entry) {
        return HostPageEntry.LAYOUT.decode(entry);
    }

    // --- written pages ---

    /**
     * Marks the pages that the leaves record as written.
     *
     * <p>Hardware writes {@link HostPageEntry#D} into the one slot that it walked, so a page of several slots was
     * written when any slot has it.
     *
     * @param clear whether to clear the record, slot by slot and without losing a page that is written at the same time
     * @param cleared gets the leaves that were cleared, whole: units may still hold each part of them as written
     * @param leaves what one marks that the range enters behind its start
     */
    void readDirty(DirtyBitmap bitmap, boolean clear, IotlbGather cleared, DirtyLeaves leaves) {
        long last = minUnsigned(bitmap.start() + bitmap.size() - 1, lastReachable(levels()));
        long at = bitmap.start();
        while (Long.compareUnsigned(at, last) <= 0) {
            long place = descend(at, 1);
            int level = levelAt(place);
            long firstEntry = entryAt(place) - ((long) index(at, level) << ENTRY_SHIFT);
            // The rest of the table, up to the next linked table.
            do {
                long entry = memory.load(firstEntry + ((long) index(at, level) << ENTRY_SHIFT));
                int covers = shift(level);
                if (isPresent(entry)) {
                    if (isTable(entry, level)) {
                        break;
                    }
                    covers = leafShift(entry, level);
                    long start = at & -(1L << covers);
                    long firstSlot = firstEntry + ((long) index(start, level) << ENTRY_SHIFT);
                    if (written(firstSlot, 1 << (covers - shift(level)), clear)) {
                        mark(bitmap, at, level, covers, leaves);
                        if (clear) {
                            cleared.addRange(start, start + (1L << covers) - 1);
                        }
                    }
                }
                if (leaves == DirtyLeaves.SKIP_AHEAD && (at & ((1L << covers) - 1)) != 0) {
                    if (Long.compareUnsigned(last - at, 1L << covers) < 0) {
                        return;
                    }
                    at += 1L << covers;
                    break;
                }
                long end = lastInTable(at, last, covers);
                if (end == last) {
                    return;
                }
                at = end + 1;
            } while (index(at, level) != 0);
        }
    }

    /** Marks what a leaf of some slots, which covers an address, has written. */
    private static void mark(DirtyBitmap bitmap, long at, int level, int covers, DirtyLeaves leaves) {
        long size = 1L << covers;
        long start = at & -size;
        switch (leaves) {
            case SKIP_AHEAD -> bitmap.mark(at, size);
            case MARK_AHEAD -> bitmap.mark(at, start + size - (at & -(1L << shift(level))));
            case OWN_PAGES -> bitmap.mark(start, size);
        }
    }

    private boolean written(long firstSlot, int slots, boolean clear) {
        boolean written = false;
        for (int i = 0; i < slots; i++) {
            long slot = firstSlot + ((long) i << ENTRY_SHIFT);
            long entry = memory.load(slot);
            while (D.isSet(entry)) {
                written = true;
                if (!clear || memory.compareAndSet(slot, entry, entry & ~D.mask())) {
                    break;
                }
                entry = memory.load(slot);
            }
        }
        return written;
    }

    // --- growing ---

    /**
     * Makes the tables of a taller root, which is not used yet.
     *
     * @return the new root
     * @throws IommuException ENOMEM
     */
    long tallerRoot(int newLevels) {
        long spare = frames().take(newLevels - levels(), false);
        long below = root();
        for (int level = levels() + 1; level <= newLevels; level++) {
            long next = frames().next(spare);
            memory.store(spare, HostPageEntry.table(below, level - 1));
            below = spare;
            spare = next;
        }
        return below;
    }

    /** Makes a taller root the table's root. */
    void growTo(long root, int newLevels) {
        setTop(root, newLevels);
    }
}
