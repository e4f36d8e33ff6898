// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import org.iommu4j.sim.spi.Fabric;

/**
 * Walks first-stage tables, through the second stage when nested.
 *
 * <p>Source: VT-d 3.6 (first stage), 3.8 (nested), 3.9 (accessed and dirty flags). Reasons are scalable mode's. The
 * second stage's refusal of a page is passed on with the reason of {@link SecondStageWalker}.
 */
final class FirstStageWalker {
    private static final long RIGHTS = FirstStage.RW | FirstStage.US;

    private final FirstStage format;
    private final Fabric fabric;
    private final ScalableCaches caches;
    private final SecondStageWalker secondStage;

    FirstStageWalker(
            VtdCapabilities capabilities,
            int hostAddressWidth,
            Fabric fabric,
            ScalableCaches caches,
            SecondStageWalker secondStage) {
        this.format = new FirstStage(capabilities, hostAddressWidth);
        this.fabric = fabric;
        this.caches = caches;
        this.secondStage = secondStage;
    }

    /**
     * Finds the page of an address.
     *
     * @param address canonical
     * @return an {@link Iotlb} entry, or a refusal
     */
    long find(FirstStageWalk walk, long address, boolean write) {
        for (int level = 2; level <= 3; level++) {
            if (caches.lookupTable(walk.tag, level, address, walk.cached)) {
                long cached = walk.cached.first;
                return descend(walk, address, write, FirstStage.table(cached), level - 1, cached & RIGHTS);
            }
        }
        return descend(walk, address, write, walk.root, walk.levels, RIGHTS);
    }

    /**
     * Reads entries from a table down to the page.
     *
     * @param first the table's level
     * @param firstRights the rights of the entries above the table
     */
    private long descend(
            FirstStageWalk walk, long address, boolean write, long firstTable, int first, long firstRights) {
        long table = firstTable;
        long rights = firstRights;
        int level = first;
        while (true) {
            boolean top = level == walk.levels;
            long at = table | (((address >>> SecondStage.shift(level)) & 511) << 3);
            long entryAddress = at;
            if (walk.nested) {
                long page = guest(walk, at, false);
                if (Iotlb.isFault(page)) {
                    // VT-d 7.1.3, reasons 75h (SFS.6) and 76h (SFS.7).
                    return tableRefused(page, top ? FaultReason.FS_TOP_READ : FaultReason.FS_READ);
                }
                entryAddress = Iotlb.physical(page, at);
            }
            long entry = fabric.read(entryAddress, walk.snooped);
            if (VtdLegacyTables.isAbort(fabric, entryAddress, entry, walk.snooped)) {
                // VT-d 7.1.3, reasons 73h (SFS.4) and 70h (SFS.1).
                return Iotlb.ofFault(top ? FaultReason.FS_TOP_ACCESS : FaultReason.FS_ACCESS, true);
            }
            if ((entry & FirstStage.P) == 0) {
                // VT-d 7.1.3, reason 71h (SFS.2).
                return Iotlb.ofFault(FaultReason.FS_NOT_PRESENT, true);
            }
            if (format.hasReserved(level, entry)) {
                // VT-d 7.1.3, reason 72h (SFS.3). The bits are 9.7's.
                return Iotlb.ofFault(FaultReason.FS_RESERVED, true);
            }
            boolean leaf = FirstStage.isLeaf(level, entry);
            long allowed = rights & entry;
            if ((allowed & FirstStage.US) == 0) {
                // VT-d 7.1.3, reason 81h (SGN.2); 3.6 joins U/S of all entries.
                return Iotlb.ofFault(FaultReason.FS_SUPERVISOR, true);
            }
            if (write && (allowed & FirstStage.RW) == 0) {
                // VT-d 7.1.3, reason 85h (SGN.6); 3.6 joins R/W of all entries.
                return Iotlb.ofFault(FaultReason.SM_WRITE, false);
            }
            long set = entry | walk.used | (leaf && write ? FirstStage.D : 0);
            if (set != entry) {
                if (walk.nested) {
                    long page = guest(walk, at, true);
                    if (Iotlb.isFault(page)) {
                        // VT-d 7.1.3, reason 77h (SFS.8).
                        return tableRefused(page, FaultReason.FS_WRITE);
                    }
                }
                if (!walk.snooped) {
                    // VT-d 7.1.3, reason 90h (SFS.9): 3.9 has flags set atomically, for which accesses are snooped.
                    return Iotlb.ofFault(FaultReason.FS_FLAGS_NOT_SNOOPED, false);
                }
                if (!fabric.compareAndSet(entryAddress, entry, set, true)) {
                    continue; // another agent changed the entry since: read it again
                }
                entry = set;
            }
            if (leaf) {
                if (level < first) {
                    caches.fillTable(walk.tag, level + 1, address, table | rights, walk.began);
                }
                return page(walk, address, write, level, entry, allowed);
            }
            rights = allowed;
            table = FirstStage.table(entry);
            level--;
        }
    }

    private long page(FirstStageWalk walk, long address, boolean write, int level, long entry, long allowed) {
        long flags = Iotlb.R
                | ((allowed & FirstStage.RW) != 0 ? Iotlb.W : 0)
                | ((entry & FirstStage.D) != 0 ? Iotlb.DIRTY : 0)
                | (walk.snoopsData ? Iotlb.SNP : 0);
        return walk.nested
                ? nestedPage(walk, address, write, level, entry, flags)
                : Iotlb.of(FirstStage.page(level, entry), level - 1, flags);
    }

    /** Translates a guest-physical address of a first-stage entry. */
    private long guest(FirstStageWalk walk, long address, boolean write) {
        // VT-d 7.1.3, reason 74h (SFS.5).
        return secondStage.isBeyond(walk.below.levels, address)
                ? Iotlb.ofFault(FaultReason.FS_TABLE_BEYOND, true)
                : secondStage.find(walk.below, address, write);
    }

    /** Returns the refusal of an access to a first-stage table that the second stage refused. */
    private static long tableRefused(long refusal, int withoutPermission) {
        int reason = Iotlb.reason(refusal);
        boolean permission = reason == FaultReason.READ || reason == FaultReason.WRITE;
        return Iotlb.ofFault(permission ? withoutPermission : FaultReason.inScalableMode(reason, true), true);
    }

    /** Returns the page that both stages map: the smaller of the two, with the permissions of both. */
    private long nestedPage(FirstStageWalk walk, long address, boolean write, int level, long entry, long flags) {
        long within = (1L << SecondStage.shift(level)) - 1;
        long guestAddress = FirstStage.page(level, entry) | (address & within);
        if (secondStage.isBeyond(walk.below.levels, guestAddress)) {
            // VT-d 7.1.3, reason 84h (SGN.5).
            return Iotlb.ofFault(FaultReason.SM_NESTED_BEYOND, true);
        }
        long page = secondStage.find(walk.below, guestAddress, write);
        if (Iotlb.isFault(page)) {
            return page;
        }
        int size = Math.min(level - 1, Iotlb.size(page));
        long base = Iotlb.physical(page, guestAddress) & (-1L << SecondStage.shift(size + 1));
        long both = flags & (page | Iotlb.SNP);
        return Iotlb.of(base, size, both);
    }
}
