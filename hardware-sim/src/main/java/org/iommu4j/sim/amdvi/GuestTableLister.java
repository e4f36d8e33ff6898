// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import java.util.function.Supplier;
import org.iommu4j.bits.Hex;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.TableVisitor;

/**
 * Lists the guest (v2) tables of a requester, PASID by PASID, as {@link GuestWalker} would find them.
 *
 * <p>Addresses of tables and pages are system physical. Where the requester has host tables too, each address is
 * translated by them, and a guest's page that they split becomes several mappings.
 */
final class GuestTableLister {
    private static final int ENTRIES = 512;
    private static final int PASID_BITS_PER_LEVEL = 9;
    private static final int FRAME_SHIFT = 12;

    private final ListedImage image;
    /** Caches of this requester alone: two that share a domain id need not share tables. */
    private final Caches caches = new Caches();

    private final GuestWalker walker;
    private final GuestWalk walk = new GuestWalk();
    private final AmdViFeatures features;
    private final int requesterId;
    private final long entry0;
    private final long entry1;
    private final int levels;
    private final String domain;

    /**
     * Makes a lister for one requester.
     *
     * @param memory the image
     * @param entry0 the first word of its device table entry, as {@link DeviceTableCache} keeps it, with GV
     * @param entry1 the second
     */
    GuestTableLister(
            ListedImage image, Fabric memory, AmdViFeatures features, int requesterId, long entry0, long entry1) {
        this.image = image;
        this.walker = new GuestWalker(memory, new TableWalker(memory, caches, features), caches, features);
        this.features = features;
        this.requesterId = requesterId;
        this.entry0 = entry0;
        this.entry1 = entry1;
        this.levels = DeviceTableCache.guestLevels(entry0);
        this.domain = ", domain " + AmdViDeviceTableEntry.DOMAIN_ID.get(entry1);
    }

    /** Lists the tables of all PASIDs that have some; with GIOV those of PASID 0 as the requester's own. */
    void list() {
        listGcr3(AmdViDeviceTableEntry.gcr3Table(entry0, entry1), (int) AmdViDeviceTableEntry.GLX.get(entry0) + 1, 0);
    }

    private void listGcr3(long guestTable, int level, int pasid) {
        Supplier<String> what = () -> "the level " + level + " GCR3 table from PASID " + pasid;
        long table = DeviceTableCache.gcr3OfGuest(entry0) ? system(guestTable, what) : guestTable;
        if (table < 0 || !image.isMemory(table, what)) {
            return;
        }
        for (int i = 0; i < ENTRIES; i++) {
            int first = pasid | (i << (PASID_BITS_PER_LEVEL * (level - 1)));
            long at = table + i * 8L;
            long entry = image.entry(at);
            if (first >>> features.pasidBits != 0 || !GuestEntry.P.isSet(entry)) {
                continue;
            }
            if (GuestEntry.gcr3HasReservedBits(entry)) {
                if (image.isNewEntry(at)) {
                    image.visitor()
                            .problem("the GCR3 entry at " + Hex.of(at) + " for PASID " + first
                                    + " has reserved bits set: " + GuestEntry.GCR3_LAYOUT.decode(entry));
                }
            } else if (level > 1) {
                listGcr3(GuestEntry.ADDRESS.getInPlace(entry), level - 1, first);
            } else {
                listPasid(first, GuestEntry.ADDRESS.getInPlace(entry));
            }
        }
    }

    private void listPasid(int pasid, long root) {
        boolean own = pasid == 0 && AmdViDeviceTableEntry.GIOV.isSet(entry0);
        image.visitor()
                .requester(
                        requesterId,
                        own ? TableVisitor.NO_PASID : pasid,
                        "guest tables" + (own ? " of PASID 0, " : ", ") + levels + " levels"
                                + (AmdViDeviceTableEntry.MODE.get(entry0) == 0 ? "" : " over host tables") + domain,
                        system(root, () -> "the root of PASID " + pasid));
        int unused = pasid == 0 ? 0 : 64 - PageTableEntry.shift(levels + 1);
        list(root, levels, 0, AmdViDeviceTableEntry.rights(entry0), unused);
    }

    /** Lists a table; addresses are sign-extended above a number of bits, except for PASID 0. */
    private void list(long guestTable, int level, long address, long rights, int unused) {
        Supplier<String> what = () -> "the level " + level + " guest table for address " + Hex.of(address);
        long table = system(guestTable, what);
        if (table < 0 || !image.enter(table, what)) {
            return;
        }
        for (int i = 0; i < ENTRIES; i++) {
            long at = table + i * 8L;
            long entry = image.entry(at);
            if (!GuestEntry.P.isSet(entry)) {
                continue;
            }
            long first = (address | ((long) i << PageTableEntry.shift(level))) << unused >> unused;
            if (GuestEntry.hasReservedBits(entry, level, features.noExecute)) {
                if (image.isNewEntry(at)) {
                    image.visitor()
                            .problem("the level " + level + " guest entry at " + Hex.of(at) + " for address "
                                    + Hex.of(first) + " has reserved bits set: " + GuestEntry.LAYOUT.decode(entry));
                }
            } else if (GuestEntry.isPage(entry, level)) {
                listPage(entry, level, first, rights & GuestEntry.rights(entry));
            } else {
                image.visitor().table(level, at, entry, first);
                list(GuestEntry.ADDRESS.getInPlace(entry), level - 1, first, rights & GuestEntry.rights(entry), unused);
            }
        }
        image.leave();
    }

    /** Lists a page in the pieces into which host tables split it; without host tables it is one. */
    private void listPage(long entry, int level, long address, long rights) {
        long guestPhysical = GuestEntry.pageAddress(entry, level);
        long size = 1L << PageTableEntry.shift(level);
        for (long done = 0; done < size; ) {
            long frame = frame(guestPhysical + done);
            long piece;
            if (WalkResult.isFailure(frame)) {
                image.visitor()
                        .problem("the guest's page for address " + Hex.of(address + done)
                                + " is at its physical address " + Hex.of(guestPhysical + done)
                                + ", which the host tables do not map");
                piece = Math.min(size, 1L << FRAME_SHIFT);
            } else {
                piece = AmdViDeviceTableEntry.MODE.get(entry0) == 0
                        ? size
                        : Math.min(size, 1L << WalkCache.shift(frame));
                image.visitor()
                        .mapping(
                                address + done,
                                WalkCache.physical(frame, guestPhysical + done),
                                piece,
                                ListedImage.prot(rights & WalkCache.rights(frame)),
                                PageTableEntry.FC.isSet(frame),
                                entry,
                                level);
            }
            image.count();
            done += piece;
        }
    }

    /** Returns the system physical address of a guest's table, or -1 when the host tables do not map it. */
    private long system(long guestPhysical, Supplier<String> what) {
        long frame = frame(guestPhysical);
        if (WalkResult.isFailure(frame)) {
            image.visitor()
                    .problem(what.get() + " is at the guest's physical address " + Hex.of(guestPhysical)
                            + ", which the host tables do not map");
            return -1;
        }
        return WalkCache.physical(frame, guestPhysical);
    }

    private long frame(long guestPhysical) {
        walk.start(entry0, entry1, 0, caches.epoch.current());
        return walker.frame(walk, guestPhysical, false);
    }
}
