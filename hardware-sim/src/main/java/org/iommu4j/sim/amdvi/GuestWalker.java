// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import org.iommu4j.sim.spi.Fabric;

/**
 * Walks a PASID's guest (v2) tables, through the domain's host tables where there are any, and fills the guest caches.
 *
 * <p>Source: 48882, section 2.2.6, "Guest Virtual Address Translation". With host tables the guest's tables and its
 * pages are at guest physical addresses, the GCR3 table only with GCR3TRPMode: each access to them is a host
 * translation that needs IR, and IW where a bit of an entry is set. Accessed and dirty bits are set atomically, as the
 * processor does.
 */
final class GuestWalker {
    private static final long PERMISSIONS = PageTableEntry.IR.mask() | PageTableEntry.IW.mask();
    private static final int FRAME_SHIFT = PageTableEntry.shift(1);
    private static final int LOWEST_TABLE_SHIFT = PageTableEntry.shift(2);
    private static final int PASID_BITS_PER_LEVEL = 9;

    /** A thread's walk; it runs at most one at a time. */
    private static final ThreadLocal<GuestWalk> WALK = ThreadLocal.withInitial(GuestWalk::new);

    private final Fabric fabric;
    private final TableWalker host;
    private final WalkCache pages;
    private final WalkCache directories;
    private final boolean noExecute;
    private final boolean cachesNotPresent;

    GuestWalker(Fabric fabric, TableWalker host, Caches caches, AmdViFeatures features) {
        this.fabric = fabric;
        this.host = host;
        this.pages = caches.guestPages;
        this.directories = caches.guestDirectories;
        this.noExecute = features.noExecute;
        this.cachesNotPresent = features.cachesNotPresent;
    }

    /**
     * Finds the page of a PASID's address, cached or by a walk, and checks that it may be accessed.
     *
     * @param entry0 the first word of the device table entry, as {@link DeviceTableCache} keeps it
     * @param entry1 the second word
     * @param epoch from before the device table entry was looked up
     * @return a {@link WalkResult}
     */
    long find(long entry0, long entry1, int pasid, long address, boolean write, long epoch) {
        int domainId = (int) AmdViDeviceTableEntry.DOMAIN_ID.get(entry1);
        long cached = pages.lookup(WalkCache.guestTag(domainId, pasid), address);
        if (WalkCache.allows(cached, write)) {
            return cached;
        }
        // A word does not record whether the guest's or the host's entries refuse: a nested page is walked again.
        if (WalkCache.isDecided(cached, write)
                && (cached & (WalkCache.NESTED | WalkCache.NOT_PRESENT)) != WalkCache.NESTED) {
            // 48882, section 2.5.3, as the walk found it.
            return WalkCache.refusal(cached);
        }
        GuestWalk walk = WALK.get();
        walk.start(entry0, entry1, pasid, epoch);
        long page = walk(walk, address, write);
        // 48882, section 2.5.3, PE: entries that are all present don't permit the request.
        return WalkResult.isFailure(page) || WalkCache.allows(page, write) ? page : WalkCache.refusal(page);
    }

    private long walk(GuestWalk walk, long address, boolean write) {
        int level = DeviceTableCache.guestLevels(walk.entry0);
        boolean reachable = walk.pasid == 0
                ? address >>> PageTableEntry.shift(level + 1) == 0
                : GuestEntry.isCanonical(address, level);
        if (!reachable) {
            // 48882, sections 2.2.6 and 2.5.3, without PR.
            return WalkResult.NOT_PRESENT;
        }
        long permissions = PERMISSIONS;
        long table = directories.lookup(walk.tag, address);
        if (table != 0) {
            permissions = table;
            level = 1;
        } else {
            table = root(walk);
            if (WalkResult.isFailure(table)) {
                return table;
            }
        }
        while (true) {
            long guestPhysical = PageTableEntry.ADDRESS.getInPlace(table)
                    + (((address >>> PageTableEntry.shift(level)) & 0x1ff) << 3);
            long frame = frame(walk, guestPhysical, false);
            if (WalkResult.isFailure(frame)) {
                return frame;
            }
            long at = WalkCache.physical(frame, guestPhysical);
            long entry = fabric.read(at, true);
            if (!GuestEntry.P.isSet(entry)) {
                if (cachesNotPresent) {
                    long nested = walk.isNested() ? WalkCache.NESTED : 0;
                    long word = WalkCache.word(WalkCache.NOT_PRESENT | nested, PageTableEntry.shift(level));
                    pages.put(walk.tag, address, word, walk.epoch);
                }
                // 48882, sections 2.2.6.1 and 2.5.3, without PR.
                return WalkResult.NOT_PRESENT;
            }
            if (entry == -1L && fabric.isUnreadable(at, true)) {
                // 48882, section 2.5.5.
                return WalkResult.unreadable(at);
            }
            if (GuestEntry.hasReservedBits(entry, level, noExecute)) {
                // 48882, sections 2.2.6.1 and 2.5.3, RZ.
                return WalkResult.RESERVED;
            }
            long rights = permissions & GuestEntry.rights(entry);
            boolean page = GuestEntry.isPage(entry, level);
            boolean dirties = page && write && PageTableEntry.IW.isSet(rights);
            long used = entry | GuestEntry.A.mask() | (dirties ? GuestEntry.D.mask() : 0);
            if (used != entry) {
                frame = frame(walk, guestPhysical, true);
                if (WalkResult.isFailure(frame)) {
                    return frame;
                }
                if (!fabric.compareAndSet(WalkCache.physical(frame, guestPhysical), entry, used, true)) {
                    continue; // software has changed the entry
                }
            }
            if (page) {
                return page(walk, address, write, level, used, rights);
            }
            permissions = rights;
            table = WalkCache.word(GuestEntry.ADDRESS.getInPlace(entry) | rights, LOWEST_TABLE_SHIFT);
            level--;
            if (level == 1) {
                directories.put(walk.tag, address, table, walk.epoch);
            }
        }
    }

    /** Returns a word with a PASID's root, or a failure. */
    private long root(GuestWalk walk) {
        int levels = (int) AmdViDeviceTableEntry.GLX.get(walk.entry0) + 1;
        if (walk.pasid >>> (PASID_BITS_PER_LEVEL * levels) != 0) {
            // 48882, sections 2.2.6.3 and 2.5.3, without PR.
            return WalkResult.NOT_PRESENT;
        }
        long table = AmdViDeviceTableEntry.gcr3Table(walk.entry0, walk.entry1);
        for (int level = levels; level > 0; level--) {
            int index = (walk.pasid >>> (PASID_BITS_PER_LEVEL * (level - 1))) & 0x1ff;
            long at = table + index * 8L;
            if (DeviceTableCache.gcr3OfGuest(walk.entry0)) {
                long frame = frame(walk, at, false);
                if (WalkResult.isFailure(frame)) {
                    return frame;
                }
                at = WalkCache.physical(frame, at);
            }
            long entry = fabric.read(at, true);
            if (!GuestEntry.P.isSet(entry)) {
                // 48882, sections 2.2.6.3 and 2.5.3, without PR.
                return WalkResult.NOT_PRESENT;
            }
            if (GuestEntry.gcr3HasReservedBits(entry)) {
                // 48882, sections 2.5.5, and 2.2.6.3 and 2.5.3 with RZ.
                return entry == -1L && fabric.isUnreadable(at, true) ? WalkResult.unreadable(at) : WalkResult.RESERVED;
            }
            table = GuestEntry.ADDRESS.getInPlace(entry);
        }
        return WalkCache.word(table, FRAME_SHIFT);
    }

    /** Returns a word with the system's page of a guest physical address, or a failure. */
    long frame(GuestWalk walk, long guestPhysical, boolean write) {
        if (!walk.isNested()) {
            return WalkCache.word((guestPhysical & -(1L << FRAME_SHIFT)) | PERMISSIONS, FRAME_SHIFT);
        }
        long result = host.find(walk.entry0, walk.domainId, guestPhysical, write, walk.epoch);
        return WalkResult.isFailure(result) ? WalkResult.ofHost(result, guestPhysical) : result;
    }

    /** Combines a guest's page with the host's and caches the smaller of the two. */
    private long page(GuestWalk walk, long address, boolean write, int level, long entry, long rights) {
        int shift = PageTableEntry.shift(level);
        long word = GuestEntry.pageAddress(entry, level) | rights;
        boolean clean = !GuestEntry.D.isSet(entry);
        if (walk.isNested()) {
            long guestPhysical = GuestEntry.pageAddress(entry, level) + (address & ((1L << shift) - 1));
            boolean writes = write && PageTableEntry.IW.isSet(rights);
            long frame = frame(walk, guestPhysical, writes);
            if (WalkResult.isFailure(frame)) {
                return frame;
            }
            shift = Math.min(shift, WalkCache.shift(frame));
            clean |= (frame & WalkCache.CLEAN) != 0;
            word = (WalkCache.physical(frame, guestPhysical) & -(1L << shift))
                    | (rights & WalkCache.rights(frame))
                    | (frame & PageTableEntry.FC.mask())
                    | WalkCache.NESTED;
        }
        if (clean && PageTableEntry.IW.isSet(word)) {
            word = (word & ~PageTableEntry.IW.mask()) | WalkCache.CLEAN;
        }
        word = WalkCache.word(word, shift);
        pages.put(walk.tag, address, word, walk.epoch);
        return word;
    }
}
