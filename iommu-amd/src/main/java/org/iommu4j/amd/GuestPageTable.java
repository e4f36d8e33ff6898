// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.iommu4j.amd.fmt.GuestPageEntry.PS;

import org.iommu4j.IommuException;
import org.iommu4j.Prot;
import org.iommu4j.amd.fmt.GuestPageEntry;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.TableFrames;

/**
 * A guest (v2) page table, 48882 section 2.2.6: the processor's own format, with 4 or 5 levels that never change.
 *
 * <p>It has no bit like FC. It has no write-only mappings either: a writable mapping is also readable, as in Linux.
 */
final class GuestPageTable extends PageTable {
    /** 4 KiB, 2 MiB and 1 GiB. */
    static final long PAGE_SIZES = 1L << 12 | 1L << 21 | 1L << 30;

    private static final LeafMark LEAF = new LeafMark(PS.mask(), PS.mask(), PS.mask());

    /**
     * Makes an empty table.
     *
     * @param levels 4 or 5
     * @param bits the number of address bits that can be mapped
     * @throws IommuException ENOMEM
     */
    GuestPageTable(SystemMemory memory, TableFrames frames, int levels, int bits) {
        super(memory, frames, LEAF, levels, levels, bits, PAGE_SIZES);
    }

    @Override
    long leaf(long physicalAddress, int sizeShift, int prot) {
        return GuestPageEntry.leaf(physicalAddress, sizeShift, (prot & Prot.WRITE) != 0);
    }

    @Override
    long tableEntry(long physicalAddress, int level) {
        return GuestPageEntry.table(physicalAddress);
    }

    @Override
    int leafShift(long entry, int level) {
        return shift(level);
    }

    @Override
    int plainRun(long entryAt, int level, int most) {
        int present = memory.leadingSet(entryAt, PRESENT, most);
        return level == 1 ? present : memory.leadingSet(entryAt, PS.mask(), present);
    }

    @Override
    String decode(long entry) {
        return GuestPageEntry.LAYOUT.decode(entry);
    }
}
