// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import org.iommu4j.sim.spi.Fabric;

/**
 * Walks second-stage tables, in both modes.
 *
 * <p>Source: VT-d 3.7 and 3.9 (accessed and dirty flags). Reasons are legacy mode's; scalable mode has its own names for
 * them ({@link FaultReason#inScalableMode}).
 */
final class SecondStageWalker {
    private static final long RIGHTS = SecondStage.R | SecondStage.W;

    /** Instead of the top-level table's level, for a walk that begins below it. */
    private static final int NO_TOP = -1;

    private final SecondStage format;
    private final Fabric fabric;
    private final PagingCache pagingCache;

    SecondStageWalker(SecondStage format, Fabric fabric, PagingCache pagingCache) {
        this.format = format;
        this.fabric = fabric;
        this.pagingCache = pagingCache;
    }

    /**
     * Finds the page of an address.
     *
     * @param table the top-level table
     * @param top its level
     * @param snoop whether entries are accessed through the caches
     * @param flags whether accessed and dirty flags are set
     * @param began the epoch before the table was looked up
     * @return an {@link Iotlb} entry, or a refusal
     */
    long walk(
            int domainId, long table, int top, long address, boolean write, boolean snoop, boolean flags, long began) {
        for (int level = 2; level <= 3; level++) {
            long cached = pagingCache.lookup(domainId, level, address);
            if (cached != PagingCache.MISS) {
                long rights = PagingCache.rights(cached);
                return descend(
                        domainId,
                        PagingCache.table(cached),
                        level - 1,
                        NO_TOP,
                        rights,
                        address,
                        write,
                        snoop,
                        flags,
                        began);
            }
        }
        return descend(domainId, table, top, top, RIGHTS, address, write, snoop, flags, began);
    }

    private long descend(
            int domainId,
            long firstTable,
            int first,
            int top,
            long firstRights,
            long address,
            boolean write,
            boolean snoop,
            boolean flags,
            long began) {
        long needed = write ? SecondStage.W : SecondStage.R;
        long table = firstTable;
        long rights = firstRights;
        int level = first;
        while (true) {
            long entryAddress = table | (((address >>> SecondStage.shift(level)) & 511) << 3);
            long entry = fabric.read(entryAddress, snoop);
            if ((rights & entry & needed) == 0) {
                // With the other permission the page is there, and what refuses this request must not refuse others.
                boolean refusesAll = (rights & entry) == 0;
                return Iotlb.ofFault(write ? FaultReason.WRITE : FaultReason.READ, refusesAll);
            }
            if (VtdLegacyTables.isAbort(fabric, entryAddress, entry)) {
                return Iotlb.ofFault(level == top ? FaultReason.CONTEXT_INVALID : FaultReason.TABLE_ACCESS, true);
            }
            boolean leaf = SecondStage.isLeaf(level, entry);
            if (leaf ? format.leafHasReserved(level, entry) : format.tableHasReserved(level, entry)) {
                return Iotlb.ofFault(FaultReason.ENTRY_RESERVED, true);
            }
            if (flags) {
                long set = entry | SecondStage.A | (leaf && write ? SecondStage.D : 0);
                if (set != entry) {
                    if (!snoop) {
                        return Iotlb.ofFault(FaultReason.SS_FLAGS_NOT_SNOOPED, false);
                    }
                    if (!fabric.compareAndSet(entryAddress, entry, set, true)) {
                        continue; // somebody changed the entry since: read it again
                    }
                    entry = set;
                }
            }
            if (leaf) {
                if (level < first) {
                    pagingCache.fill(domainId, level + 1, address, table, rights, began);
                }
                return found(level, entry, rights & entry, !flags || (entry & SecondStage.D) != 0);
            }
            rights &= entry;
            table = SecondStage.address(entry);
            level--;
        }
    }

    private static long found(int level, long entry, long rights, boolean dirty) {
        return Iotlb.of(
                SecondStage.address(entry),
                level - 1,
                rights | ((entry & SecondStage.SNP) != 0 ? Iotlb.SNP : 0) | (dirty ? Iotlb.DIRTY : 0));
    }
}
