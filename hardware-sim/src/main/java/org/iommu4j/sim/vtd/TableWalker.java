// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.Fabric;

/**
 * Reads the legacy-mode tables: root entry, context entry, second-stage paging entries.
 *
 * <p>Source: VT-d 3.4 (from requester to domain), 3.6 and 3.7 (second stage), 9.1 root entry, 9.3 context entry, 9.8
 * second-stage paging entries. ECAP.C decides whether these reads are snooped. Levels are counted from 1 at the bottom.
 */
final class TableWalker {
    private static final BitField ROOT_P = bit(0, "P");
    private static final BitField ROOT_CTP = bits(51, 12, "CTP");

    private static final BitField CONTEXT_P = bit(0, "P");
    private static final BitField CONTEXT_FPD = bit(1, "FPD");
    private static final BitField CONTEXT_TT = bits(3, 2, "TT");
    private static final BitField CONTEXT_ASR = bits(51, 12, "ASR");
    private static final BitField CONTEXT_AW = bits(2, 0, "AW");
    private static final BitField CONTEXT_IGNORED = bits(6, 3, "IGN");
    private static final BitField CONTEXT_DID = bits(23, 8, "DID");

    /** TT: untranslated requests walk the second stage. */
    static final int TT_UNTRANSLATED = 0;
    /** TT: as {@link #TT_UNTRANSLATED}, and the device may have a TLB. */
    static final int TT_DEVICE_TLB = 1;
    /** TT: addresses pass as they are. */
    static final int TT_PASS_THROUGH = 2;

    private static final BitField SS_R = bit(0, "R");
    private static final BitField SS_W = bit(1, "W");
    private static final BitField SS_PS = bit(7, "PS");
    private static final BitField SS_SNP = bit(11, "SNP");
    private static final BitField SS_ADDR = bits(51, 12, "ADDR");
    private static final BitField SS_TM = bit(62, "TM");

    private static final long RIGHTS = SS_R.mask() | SS_W.mask();
    private static final int MAX_LEVELS = 5;

    private final VtdCapabilities capabilities;
    private final Fabric fabric;
    private final boolean snoop;
    private final long rootReserved;
    private final long contextLowReserved;
    private final long contextHighReserved;

    /** Reserved bits of an entry that points to a table, by level. */
    private final long[] tableReserved = new long[MAX_LEVELS + 1];

    /** Reserved bits of an entry that maps a page, by level. */
    private final long[] leafReserved = new long[MAX_LEVELS + 1];

    /**
     * Makes a walker.
     *
     * @param hostAddressWidth bits of a physical address; those above are reserved in entries
     */
    TableWalker(VtdCapabilities capabilities, int hostAddressWidth, Fabric fabric) {
        this.capabilities = capabilities;
        this.fabric = fabric;
        snoop = capabilities.coherent;
        long beyondHost = -1L << hostAddressWidth;
        rootReserved = bits(11, 1, "reserved").mask() | beyondHost;
        contextLowReserved = bits(11, 4, "reserved").mask() | beyondHost;
        contextHighReserved = ~(CONTEXT_AW.mask()
                | CONTEXT_IGNORED.mask()
                | bits(7 + capabilities.domainIdBits, 8, "DID").mask());

        long addressReserved = beyondHost & SS_ADDR.mask();
        long leafAnySize = addressReserved
                | (capabilities.snoopControl ? 0 : SS_SNP.mask())
                | (capabilities.deviceTlb ? 0 : SS_TM.mask());
        for (int level = 1; level <= MAX_LEVELS; level++) {
            tableReserved[level] = addressReserved | SS_SNP.mask() | SS_TM.mask() | (level > 3 ? SS_PS.mask() : 0);
        }
        leafReserved[1] = leafAnySize;
        leafReserved[2] = leafAnySize | bits(20, 12, "reserved").mask() | (capabilities.leaves2M ? 0 : SS_PS.mask());
        leafReserved[3] = leafAnySize | bits(29, 12, "reserved").mask() | (capabilities.leaves1G ? 0 : SS_PS.mask());
    }

    /** Finds a requester's context, as {@link ContextCache} packs it; a fault when it has none. */
    long context(long rootTable, int requesterId) {
        long rootEntryAddress = rootTable + (requesterId >>> 8) * 16L;
        long root = fabric.read(rootEntryAddress, snoop);
        if (isAbort(rootEntryAddress, root)) {
            return ContextCache.ofFault(FaultReason.ROOT_ACCESS, false);
        }
        if (!ROOT_P.isSet(root)) {
            return ContextCache.ofFault(FaultReason.ROOT_NOT_PRESENT, false);
        }
        if ((root & rootReserved) != 0 || fabric.read(rootEntryAddress + 8, snoop) != 0) {
            return ContextCache.ofFault(FaultReason.ROOT_RESERVED, false);
        }
        long entryAddress = ROOT_CTP.getInPlace(root) + (requesterId & 0xff) * 16L;
        long low = fabric.read(entryAddress, snoop);
        if (isAbort(entryAddress, low)) {
            return ContextCache.ofFault(FaultReason.CONTEXT_ACCESS, false);
        }
        return context(low, fabric.read(entryAddress + 8, snoop));
    }

    private long context(long low, long high) {
        // FPD counts whether or not the entry is present.
        boolean disabled = CONTEXT_FPD.isSet(low);
        if (!CONTEXT_P.isSet(low)) {
            return ContextCache.ofFault(FaultReason.CONTEXT_NOT_PRESENT, disabled);
        }
        if ((low & contextLowReserved) != 0 || (high & contextHighReserved) != 0) {
            return ContextCache.ofFault(FaultReason.CONTEXT_RESERVED, disabled);
        }
        int levels = (int) CONTEXT_AW.get(high) + 2;
        int type = (int) CONTEXT_TT.get(low);
        if (!capabilities.hasLevels(levels) || !isSupported(type, levels)) {
            return ContextCache.ofFault(FaultReason.CONTEXT_INVALID, disabled);
        }
        return ContextCache.of((int) CONTEXT_DID.get(high), CONTEXT_ASR.getInPlace(low), levels, type, disabled);
    }

    private boolean isSupported(int type, int levels) {
        return switch (type) {
            case TT_UNTRANSLATED -> true;
            case TT_DEVICE_TLB -> capabilities.deviceTlb;
            // Nothing is walked, but software must still name the widest tables.
            case TT_PASS_THROUGH -> capabilities.passThrough && levels == capabilities.mostLevels;
            default -> false;
        };
    }

    /**
     * Walks the second stage and caches what it finds.
     *
     * @param context a usable context
     * @param began the epoch before the context was looked up
     * @return an {@link Iotlb} entry for the page of 4K asked for, or a fault
     */
    long translate(long context, long address, boolean write, Iotlb iotlb, long began) {
        int top = ContextCache.levels(context);
        long needed = write ? SS_W.mask() : SS_R.mask();
        long rights = RIGHTS;
        long table = ContextCache.table(context);
        boolean refusesAll = true;
        int reason;
        for (int level = top; ; level--) {
            int shift = 3 + 9 * level;
            long entryAddress = table | (((address >>> shift) & 511) << 3);
            long entry = fabric.read(entryAddress, snoop);
            if ((entry & needed) == 0) {
                reason = write ? FaultReason.WRITE : FaultReason.READ;
                // With the other permission the page is there, and what refuses this request must not refuse others.
                refusesAll = (rights & entry) == 0;
                break;
            }
            if (isAbort(entryAddress, entry)) {
                reason = level == top ? FaultReason.CONTEXT_INVALID : FaultReason.TABLE_ACCESS;
                break;
            }
            rights &= entry;
            if (level == 1 || (level <= 3 && SS_PS.isSet(entry))) {
                if ((entry & leafReserved[level]) != 0) {
                    reason = FaultReason.ENTRY_RESERVED;
                    break;
                }
                return leaf(context, address, level - 1, entry, rights, iotlb, began);
            }
            if ((entry & tableReserved[level]) != 0) {
                reason = FaultReason.ENTRY_RESERVED;
                break;
            }
            table = SS_ADDR.getInPlace(entry);
        }
        long fault = Iotlb.ofFault(reason);
        if (capabilities.cachingMode && refusesAll) {
            iotlb.fill(ContextCache.domainId(context), address, 0, fault, began);
        }
        return fault;
    }

    private static long leaf(long context, long address, int size, long entry, long rights, Iotlb iotlb, long began) {
        long rightsAndSnoop = rights | (SS_SNP.isSet(entry) ? Iotlb.SNP : 0);
        long base = SS_ADDR.getInPlace(entry);
        iotlb.fill(ContextCache.domainId(context), address, size, Iotlb.of(base, rightsAndSnoop), began);
        return Iotlb.of(base | (address & ((1L << (12 + 9 * size)) - 1)), rightsAndSnoop);
    }

    /** Returns whether a read met no memory; asked only of a word that looks so, since all ones is no valid entry. */
    private boolean isAbort(long address, long word) {
        return word == -1L && !fabric.isMemory(address);
    }
}
