// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import org.iommu4j.bits.Hex;

/**
 * Lists everything in the host (v1) tables of a requester, as {@link TableWalker} would find it.
 *
 * <p>Source: 48882, section 2.2.3, "I/O Page Tables for Host Translations".
 */
final class HostTableLister {
    private static final int ENTRIES = 512;
    private static final int TOP_LEVEL = 6;
    private static final long ACCESSED_AND_DIRTY = PageTableEntry.A.mask() | PageTableEntry.D.mask();

    private final ListedImage image;

    HostTableLister(ListedImage image) {
        this.image = image;
    }

    /**
     * Lists a table and everything below it.
     *
     * @param level 1 to 6
     * @param iova the first address that it translates
     * @param rights IR and IW of the entries above
     */
    void list(long table, int level, long iova, long rights) {
        if (!image.enter(table, () -> "the level " + level + " table for IOVA " + Hex.of(iova))) {
            return;
        }
        // At the highest level only the entries that 64 bits can reach.
        int entries = level == TOP_LEVEL ? 1 << (64 - PageTableEntry.shift(TOP_LEVEL)) : ENTRIES;
        for (int i = 0; i < entries; ) {
            long at = table + i * 8L;
            long entry = image.entry(at);
            long first = iova + ((long) i << PageTableEntry.shift(level));
            int slots = 1;
            if (PageTableEntry.PR.isSet(entry)) {
                if (PageTableEntry.hasReservedBits(entry)) {
                    problem(entry, at, level, first, "has reserved bits set");
                } else if (PageTableEntry.isPage(entry)) {
                    slots = page(entry, at, i, level, first, rights & entry);
                } else {
                    directory(entry, at, level, first, rights & entry);
                }
            }
            i += slots;
        }
        image.leave();
    }

    private void directory(long entry, long at, int level, long iova, long rights) {
        int next = (int) PageTableEntry.NEXT_LEVEL.get(entry);
        if (next >= level) {
            problem(entry, at, level, iova, "points to level " + next + ", expected a lower one");
            return;
        }
        image.visitor().table(level, at, entry, iova);
        list(PageTableEntry.ADDRESS.getInPlace(entry), next, iova, rights);
    }

    /** Lists a page and returns how many entries it has. */
    private int page(long entry, long at, int index, int level, long iova, long rights) {
        int shift = PageTableEntry.pageShift(entry, level);
        if (shift == 0) {
            problem(entry, at, level, iova, "has a size that its level can't map");
            return 1;
        }
        int slots = 1 << (shift - PageTableEntry.shift(level));
        long physical = PageTableEntry.pageAddress(entry, shift);
        boolean whole = (index & slots - 1) == 0 && isRepeated(entry, at, slots);
        long size = 1L << (whole ? shift : PageTableEntry.shift(level));
        if (!whole) {
            problem(entry, at, level, iova, "differs from others of its " + slots + " entries");
            physical += iova & (1L << shift) - size;
        }
        image.visitor()
                .mapping(iova, physical, size, ListedImage.prot(rights), PageTableEntry.FC.isSet(entry), entry, level);
        return whole ? slots : 1;
    }

    private boolean isRepeated(long entry, long at, int slots) {
        for (int i = 1; i < slots; i++) {
            if (((image.entry(at + i * 8L) ^ entry) & ~ACCESSED_AND_DIRTY) != 0) {
                return false;
            }
        }
        return true;
    }

    private void problem(long entry, long at, int level, long iova, String what) {
        if (!image.isNewEntry(at)) {
            return;
        }
        String decoded = PageTableEntry.isPage(entry)
                ? PageTableEntry.PAGE_LAYOUT.decode(entry)
                : PageTableEntry.DIRECTORY_LAYOUT.decode(entry);
        image.visitor()
                .problem("the level " + level + " entry at " + Hex.of(at) + " for IOVA " + Hex.of(iova) + " " + what
                        + ": " + decoded);
    }
}
