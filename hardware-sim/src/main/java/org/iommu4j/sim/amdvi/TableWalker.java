// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import org.iommu4j.sim.spi.Fabric;

/**
 * Walks host (v1) tables and fills their caches. Reads, and the atomic updates of accessed and dirty bits, are snooped.
 *
 * <p>Source: 48882, section 2.2.3, "I/O Page Tables for Host Translations", and 2.2.7 for accessed and dirty bits. An
 * entry's accessed bit is set once the walk has used it, a page's dirty bit by a write that all entries allow; when
 * software changes an entry in between, the walk reads it again.
 */
final class TableWalker {
    private static final long PERMISSIONS = PageTableEntry.IR.mask() | PageTableEntry.IW.mask();
    private static final int LOWEST_TABLE_SHIFT = PageTableEntry.shift(2);

    private final Fabric fabric;
    private final WalkCache pages;
    private final WalkCache directories;
    private final boolean cachesNotPresent;

    TableWalker(Fabric fabric, Caches caches, AmdViFeatures features) {
        this.fabric = fabric;
        this.pages = caches.pages;
        this.directories = caches.directories;
        this.cachesNotPresent = features.cachesNotPresent;
    }

    /** Returns whether an address has bits above those that tables of a number of levels translate. */
    private static boolean isBeyond(long address, int levels) {
        return levels < 6 && address >>> PageTableEntry.shift(levels + 1) != 0;
    }

    /**
     * Finds an address's page, cached or by a walk, and checks that it may be accessed.
     *
     * @param entry0 the first word of the device table entry, with Mode 1 to 6
     * @param epoch from before the device table entry was looked up
     * @return a {@link WalkResult}
     */
    long find(long entry0, int domainId, long address, boolean write, long epoch) {
        if (isBeyond(address, (int) AmdViDeviceTableEntry.MODE.get(entry0))) {
            // 48882, sections 2.2.3 and 2.5.3, PR alone.
            return WalkResult.IMPOSSIBLE;
        }
        long page = pages.lookup(WalkCache.hostTag(domainId), address);
        return WalkCache.allows(page, write) ? page : walk(page, entry0, domainId, address, write, epoch);
    }

    private long walk(long cached, long entry0, int domainId, long address, boolean write, long epoch) {
        if (WalkCache.isDecided(cached, write)) {
            // 48882, section 2.5.3, with the flags of the walk.
            return WalkCache.refusal(cached);
        }
        long page = walk(entry0, domainId, address, write, epoch);
        // 48882, sections 2.2.3 and 2.5.3, PE: IR and IW of all entries together don't permit the request.
        return WalkResult.isFailure(page) || WalkCache.allows(page, write) ? page : WalkCache.refusal(page);
    }

    /** Walks, and caches the page. */
    private long walk(long entry0, int domainId, long address, boolean write, long epoch) {
        long tag = WalkCache.hostTag(domainId);
        int level = (int) AmdViDeviceTableEntry.MODE.get(entry0);
        long table = AmdViDeviceTableEntry.ROOT.getInPlace(entry0);
        long permissions = PERMISSIONS;
        if (level > 1) {
            long lowest = directories.lookup(tag, address);
            if (lowest != 0) {
                table = PageTableEntry.ADDRESS.getInPlace(lowest);
                level = 1;
                permissions = lowest;
            }
        }
        while (true) {
            int shift = PageTableEntry.shift(level);
            long entryAddress = table + (((address >>> shift) & 0x1ff) << 3);
            long entry = fabric.read(entryAddress, true);
            if (!PageTableEntry.PR.isSet(entry)) {
                if (cachesNotPresent) {
                    pages.put(tag, address, WalkCache.word(WalkCache.NOT_PRESENT, shift), epoch);
                }
                // 48882, sections 2.2.3 and 2.5.3, without PR.
                return WalkResult.NOT_PRESENT;
            }
            if (PageTableEntry.hasReservedBits(entry)) {
                // 48882, sections 2.2.3 and 2.5.3 with RZ, or 2.5.5.
                return reservedBits(entry, entryAddress);
            }
            if (PageTableEntry.isPage(entry)) {
                int pageShift = PageTableEntry.pageShift(entry, level);
                if (pageShift == 0) {
                    // 48882, sections 2.2.3 and 2.5.3, PR alone: no page of the level has the size.
                    return WalkResult.IMPOSSIBLE;
                }
                long rights = permissions & entry & PERMISSIONS;
                long clean = 0;
                if (AmdViDeviceTableEntry.HA.isSet(entry0)) {
                    boolean dirties =
                            write && PageTableEntry.IW.isSet(rights) && AmdViDeviceTableEntry.HD.isSet(entry0);
                    long used = entry | PageTableEntry.A.mask() | (dirties ? PageTableEntry.D.mask() : 0);
                    if (used != entry && !fabric.compareAndSet(entryAddress, entry, used, true)) {
                        continue;
                    }
                    if (AmdViDeviceTableEntry.HD.isSet(entry0)
                            && PageTableEntry.IW.isSet(rights)
                            && !PageTableEntry.D.isSet(used)) {
                        clean = WalkCache.CLEAN;
                        rights &= ~PageTableEntry.IW.mask();
                    }
                }
                long base = PageTableEntry.pageAddress(entry, pageShift);
                long word = WalkCache.word(base | rights | clean | (entry & PageTableEntry.FC.mask()), pageShift);
                pages.put(tag, address, word, epoch);
                return word;
            }
            int next = (int) PageTableEntry.NEXT_LEVEL.get(entry);
            if (next >= level || skipsAddressBits(address, level, next)) {
                // 48882, sections 2.2.3 and 2.5.3, PR alone: the next level is none below, or the address is not in it.
                return WalkResult.IMPOSSIBLE;
            }
            if (AmdViDeviceTableEntry.HA.isSet(entry0)
                    && !PageTableEntry.A.isSet(entry)
                    && !fabric.compareAndSet(entryAddress, entry, entry | PageTableEntry.A.mask(), true)) {
                continue;
            }
            permissions &= entry;
            table = PageTableEntry.ADDRESS.getInPlace(entry);
            level = next;
            if (level == 1) {
                long word = WalkCache.word(table | (permissions & PERMISSIONS), LOWEST_TABLE_SHIFT);
                directories.put(tag, address, word, epoch);
            }
        }
    }

    /** Absent memory reads as all ones, which has reserved bits set; only then is a check needed. */
    private long reservedBits(long entry, long entryAddress) {
        return entry == -1L && fabric.isUnreadable(entryAddress, true)
                ? WalkResult.unreadable(entryAddress)
                : WalkResult.RESERVED;
    }

    /** Levels may be skipped where the address bits that they translate are 0. */
    private static boolean skipsAddressBits(long address, int level, int next) {
        return (address & (1L << PageTableEntry.shift(level)) - (1L << PageTableEntry.shift(next + 1))) != 0;
    }
}
