// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.Fabric;

/**
 * Reads legacy mode's root and context entries.
 *
 * <p>Source: VT-d 3.4 (from requester to domain), 9.1 root entry, 9.3 context entry. ECAP.C decides whether these reads
 * are snooped.
 */
final class VtdLegacyTables {
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
    /** TT: addresses pass unchanged. */
    static final int TT_PASS_THROUGH = 2;

    private final VtdCapabilities capabilities;
    private final Fabric fabric;
    private final boolean snoop;
    private final long rootReserved;
    private final long contextLowReserved;
    private final long contextHighReserved;

    /**
     * Makes a reader.
     *
     * @param hostAddressWidth bits of a physical address; those above are reserved in entries
     */
    VtdLegacyTables(VtdCapabilities capabilities, int hostAddressWidth, Fabric fabric) {
        this.capabilities = capabilities;
        this.fabric = fabric;
        snoop = capabilities.coherent;
        long beyondHost = SecondStage.beyond(hostAddressWidth);
        rootReserved = bits(11, 1, "reserved").mask() | beyondHost;
        contextLowReserved = bits(11, 4, "reserved").mask() | beyondHost;
        contextHighReserved = ~(CONTEXT_AW.mask()
                | CONTEXT_IGNORED.mask()
                | bits(7 + capabilities.domainIdBits, 8, "DID").mask());
    }

    /** Returns a requester's context, as {@link ContextCache} packs it; a fault when it has none. */
    long context(long rootTable, int requesterId) {
        long rootEntryAddress = rootTable + (requesterId >>> 8) * 16L;
        long root = fabric.read(rootEntryAddress, snoop);
        if (isAbort(fabric, rootEntryAddress, root, snoop)) {
            // VT-d 7.1.3, reason 8h.
            return ContextCache.ofFault(FaultReason.ROOT_ACCESS, false);
        }
        if (!ROOT_P.isSet(root)) {
            // VT-d 7.1.3, reason 1h.
            return ContextCache.ofFault(FaultReason.ROOT_NOT_PRESENT, false);
        }
        if ((root & rootReserved) != 0 || fabric.read(rootEntryAddress + 8, snoop) != 0) {
            // VT-d 7.1.3, reason Ah; the bits are 9.1's.
            return ContextCache.ofFault(FaultReason.ROOT_RESERVED, false);
        }
        long entryAddress = ROOT_CTP.getInPlace(root) + (requesterId & 0xff) * 16L;
        long low = fabric.read(entryAddress, snoop);
        if (isAbort(fabric, entryAddress, low, snoop)) {
            // VT-d 7.1.3, reason 9h.
            return ContextCache.ofFault(FaultReason.CONTEXT_ACCESS, false);
        }
        return context(low, fabric.read(entryAddress + 8, snoop));
    }

    private long context(long low, long high) {
        // FPD has an effect whether or not the entry is present.
        boolean disabled = CONTEXT_FPD.isSet(low);
        if (!CONTEXT_P.isSet(low)) {
            // VT-d 7.1.3, reason 2h.
            return ContextCache.ofFault(FaultReason.CONTEXT_NOT_PRESENT, disabled);
        }
        if ((low & contextLowReserved) != 0 || (high & contextHighReserved) != 0) {
            // VT-d 7.1.3, reason Bh; the bits are 9.3's.
            return ContextCache.ofFault(FaultReason.CONTEXT_RESERVED, disabled);
        }
        int levels = (int) CONTEXT_AW.get(high) + 2;
        int type = (int) CONTEXT_TT.get(low);
        if (!capabilities.hasLevels(levels) || !isSupported(type, levels)) {
            // VT-d 7.1.3, reason 3h; 9.3 has the fields.
            return ContextCache.ofFault(FaultReason.CONTEXT_INVALID, disabled);
        }
        return ContextCache.of((int) CONTEXT_DID.get(high), CONTEXT_ASR.getInPlace(low), levels, type, disabled);
    }

    private boolean isSupported(int type, int levels) {
        return switch (type) {
            case TT_UNTRANSLATED -> true;
            case TT_DEVICE_TLB -> capabilities.deviceTlb;
            // Nothing is walked, but software must still set the AW of the widest tables.
            case TT_PASS_THROUGH -> capabilities.passThrough && levels == capabilities.mostLevels;
            default -> false;
        };
    }

    /** Returns whether a read met no memory or poison: both read as all ones, which is no valid entry. */
    static boolean isAbort(Fabric fabric, long address, long word, boolean snoop) {
        return word == -1L && fabric.isUnreadable(address, snoop);
    }
}
