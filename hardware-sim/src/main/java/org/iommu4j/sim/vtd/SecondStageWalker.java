// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import org.iommu4j.sim.spi.Fabric;

/**
 * Walks second-stage tables, in both modes.
 *
 * <p>Source: VT-d 3.7, and 3.9 for accessed and dirty flags. Reasons are legacy mode's; scalable mode has its own names
 * for them ({@link FaultReason#inScalableMode}).
 */
final class SecondStageWalker {
    private static final long RIGHTS = SecondStage.R | SecondStage.W;

    private final SecondStage format;
    private final int addressWidth;
    private final Fabric fabric;
    private final PagingCache pagingCache;

    SecondStageWalker(VtdCapabilities capabilities, int hostAddressWidth, Fabric fabric, PagingCache pagingCache) {
        this.format = new SecondStage(capabilities, hostAddressWidth);
        this.addressWidth = capabilities.addressWidth;
        this.fabric = fabric;
        this.pagingCache = pagingCache;
    }

    /**
     * Returns whether an address has bits above CAP.MGAW or above those that tables with a number of levels translate.
     */
    boolean isBeyond(int levels, long address) {
        return address >>> Math.min(addressWidth, 12 + 9 * levels) != 0;
    }

    /**
     * Finds the page of an address.
     *
     * @return an {@link Iotlb} entry, or a refusal
     */
    long find(SecondStageWalk walk, long address, boolean write) {
        for (int level = 2; level <= 3; level++) {
            long cached = pagingCache.lookup(walk.domainId, level, address);
            if (cached != PagingCache.MISS) {
                return descend(walk, address, write, PagingCache.table(cached), level - 1, PagingCache.rights(cached));
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
            SecondStageWalk walk, long address, boolean write, long firstTable, int first, long firstRights) {
        long needed = write ? SecondStage.W : SecondStage.R;
        long table = firstTable;
        long rights = firstRights;
        int level = first;
        while (true) {
            long entryAddress = table | (((address >>> SecondStage.shift(level)) & 511) << 3);
            long entry = fabric.read(entryAddress, walk.snooped);
            if ((rights & entry & needed) == 0) {
                // VT-d 7.1.3, reasons 5h and 6h; 79h (SSS.2), 85h and 86h (SGN.6, SGN.7) in scalable mode.
                // With the other permission the page is present, and this refusal must not apply to other requests.
                boolean refusesAll = (rights & entry) == 0;
                return Iotlb.ofFault(write ? FaultReason.WRITE : FaultReason.READ, refusesAll);
            }
            if (VtdLegacyTables.isAbort(fabric, entryAddress, entry, walk.snooped)) {
                // VT-d 7.1.3, reasons 3h at the top and 7h below; 7Bh (SSS.4) and 78h (SSS.1) in scalable mode.
                return Iotlb.ofFault(
                        level == walk.levels ? FaultReason.CONTEXT_INVALID : FaultReason.TABLE_ACCESS, true);
            }
            boolean leaf = SecondStage.isLeaf(level, entry);
            if (leaf ? format.leafHasReserved(level, entry) : format.tableHasReserved(level, entry)) {
                // VT-d 7.1.3, reason Ch; 7Ah (SSS.3) in scalable mode. The bits are 9.8's.
                return Iotlb.ofFault(FaultReason.ENTRY_RESERVED, true);
            }
            if (walk.setsFlags) {
                long set = entry | SecondStage.A | (leaf && write ? SecondStage.D : 0);
                if (set != entry) {
                    if (!walk.snooped) {
                        // VT-d 7.1.3, reason 7Ch (SSS.5): 3.9 has flags set atomically, for which accesses are snooped.
                        return Iotlb.ofFault(FaultReason.SS_FLAGS_NOT_SNOOPED, false);
                    }
                    if (!fabric.compareAndSet(entryAddress, entry, set, true)) {
                        continue; // another agent changed the entry since: read it again
                    }
                    entry = set;
                }
            }
            if (leaf) {
                if (level < first) {
                    pagingCache.fill(walk.domainId, level + 1, address, table, rights, walk.began);
                }
                return found(level, entry, rights & entry, !walk.setsFlags || (entry & SecondStage.D) != 0);
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
