// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import org.iommu4j.sim.spi.Fabric;

/**
 * Walks host (v1) tables. Reads are snooped.
 *
 * <p>Source: 48882, section 2.2.3, "I/O Page Tables for Host Translations".
 */
final class TableWalker {
    private static final int PAGE_SHIFT = 12;
    private static final int LEVEL_SHIFT = 9;
    private static final long PERMISSIONS = PageTableEntry.IR.mask() | PageTableEntry.IW.mask();

    /** Of a result that is not negative: an entry could not be read; the rest is its address. */
    private static final long UNREADABLE = 1L << 62;

    private final Fabric fabric;
    private final WalkCache pages;
    private final WalkCache directories;

    TableWalker(Fabric fabric, WalkCache pages, WalkCache directories) {
        this.fabric = fabric;
        this.pages = pages;
        this.directories = directories;
    }

    /** Returns whether a result says that an entry could not be read. */
    static boolean isUnreadable(long result) {
        return (result & UNREADABLE) != 0;
    }

    /** Returns the address of an entry that could not be read. */
    static long unreadableEntry(long result) {
        return result & ~UNREADABLE;
    }

    /** Returns whether an address has bits above those that tables of a number of levels translate. */
    static boolean isBeyond(long address, int levels) {
        return levels < 6 && (address >>> (PAGE_SHIFT + LEVEL_SHIFT * levels)) != 0;
    }

    /**
     * Finds an address's page and remembers it.
     *
     * @param root the first table's physical address
     * @param levels its level, 1 to 6
     * @param pagesEpoch of the cache of pages, before the device table entry that names the root was looked up
     * @param directoriesEpoch likewise
     * @return a word of {@link WalkCache}, which is negative; or an unreadable entry; or the flags of a page fault event
     */
    long walk(int domainId, long address, long root, int levels, long pagesEpoch, long directoriesEpoch) {
        long table = root;
        int level = levels;
        long permissions = PERMISSIONS;
        if (levels > 1) {
            long lowest = directories.lookup(domainId, address);
            if (lowest != 0) {
                table = PageTableEntry.ADDRESS.getInPlace(lowest);
                level = 1;
                permissions = lowest & PERMISSIONS;
            }
        }
        while (true) {
            int shift = PageTableEntry.shift(level);
            long entryAddress = table + (((address >>> shift) & 0x1ff) << 3);
            long entry = fabric.read(entryAddress, true);
            if (!PageTableEntry.PR.isSet(entry)) {
                return 0;
            }
            if (PageTableEntry.hasReservedBits(entry)) {
                return reservedBits(entry, entryAddress);
            }
            permissions &= entry;
            if (PageTableEntry.isPage(entry)) {
                int pageShift = PageTableEntry.pageShift(entry, level);
                if (pageShift == 0) {
                    return Event.PR.mask();
                }
                long base = PageTableEntry.pageAddress(entry, pageShift);
                long word = WalkCache.word(base | permissions | (entry & PageTableEntry.FC.mask()), pageShift);
                pages.put(domainId, address, word, pagesEpoch);
                return word;
            }
            int next = (int) PageTableEntry.NEXT_LEVEL.get(entry);
            if (next >= level || skipsAddressBits(address, level, next)) {
                return Event.PR.mask();
            }
            table = PageTableEntry.ADDRESS.getInPlace(entry);
            level = next;
            if (level == 1) {
                directories.put(
                        domainId,
                        address,
                        WalkCache.word(table | permissions, PAGE_SHIFT + LEVEL_SHIFT),
                        directoriesEpoch);
            }
        }
    }

    /** Memory that is not there reads as all ones, in which reserved bits are set: only then need one look. */
    private long reservedBits(long entry, long entryAddress) {
        return entry == -1L && !fabric.isMemory(entryAddress)
                ? UNREADABLE | entryAddress
                : Event.PR.mask() | Event.RZ.mask();
    }

    /** Levels may be skipped where the address bits that they translate are 0. */
    static boolean skipsAddressBits(long address, int level, int next) {
        return (address & (1L << PageTableEntry.shift(level)) - (1L << PageTableEntry.shift(next + 1))) != 0;
    }
}
