// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.iommu4j.bits.BitField.absolute;
import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.Fabric;

/**
 * Reads scalable mode's root, context, PASID directory and PASID table entries.
 *
 * <p>Source: VT-d 3.4.3 and 9.2, 9.4, 9.5, 9.6. ECAP.C decides whether these reads are snooped. A reading yields a
 * {@link WideCache.Entry}, whose first word shows its kind:
 *
 * <pre>
 *   context      first   51:12 PASIDDIRPTR, 11:9 PDTS, 4 PRE, 3 PASIDE, 2 DTE, 1 FPD, 0 P     second   19:0 RID_PASID
 *   PASID entry  first   51:12 SSPTPTR, 9 SSADE, 8:6 PGTT, 4:2 AW, 1 FPD, 0 P          tag      15:0 DID
 *                second  51:12 FSPTPTR, 4 EAFE, 3 PGSNP, 2 PWSNP, 1:0 FSPM
 *   refusal      first   11:4 the reason, 1 FPD, 0 clear                               tag      16 set, 15:0 clear
 * </pre>
 */
final class VtdScalableTables {
    private static final BitField P = bit(0, "P");
    private static final BitField FPD = bit(1, "FPD");
    private static final BitField POINTER = bits(51, 12, "PTR");
    private static final BitField REASON = bits(11, 4, "REASON");

    private static final BitField DTE = bit(2, "DTE");
    private static final BitField PASIDE = bit(3, "PASIDE");
    private static final BitField PRE = bit(4, "PRE");
    private static final BitField PDTS = bits(11, 9, "PDTS");
    private static final BitField RID_PASID = absolute(83, 64, "RID_PASID");
    private static final BitField RID_PRIV = absolute(84, 84, "RID_PRIV");

    private static final BitField AW = bits(4, 2, "AW");
    private static final BitField PGTT = bits(8, 6, "PGTT");
    private static final BitField SSADE = bit(9, "SSADE");
    private static final BitField DID = absolute(79, 64, "DID");
    private static final BitField PWSNP = absolute(87, 87, "PWSNP");
    private static final BitField PGSNP = absolute(88, 88, "PGSNP");
    private static final BitField MEMORY_TYPE = absolute(127, 89, "CD, EMTE, EMT, PWT, PCD, PAT");
    private static final BitField SRE = absolute(128, 128, "SRE");
    private static final BitField ERE = absolute(129, 129, "ERE");
    private static final BitField FSPM = absolute(131, 130, "FSPM");
    private static final BitField EAFE = absolute(135, 135, "EAFE");

    /** Second word of a PASID entry here. */
    private static final BitField KEPT_FSPM = bits(1, 0, "FSPM");

    private static final BitField KEPT_PWSNP = bit(2, "PWSNP");
    private static final BitField KEPT_PGSNP = bit(3, "PGSNP");
    private static final BitField KEPT_EAFE = bit(4, "EAFE");

    /** PGTT: first stage. */
    static final int FIRST_STAGE = 1;
    /** PGTT: second stage. */
    static final int SECOND_STAGE = 2;
    /** PGTT: first stage over second stage. */
    static final int NESTED = 3;
    /** PGTT: addresses pass unchanged. */
    static final int PASS_THROUGH = 4;

    /** Tag of a refusal, which belongs to no domain: DID is 0, which caching mode reserves for it (VT-d 6.1). */
    static final long NO_DOMAIN = 1L << 16;

    /** log2 of the PASIDs in a PASID table; a directory entry points to one table. */
    static final int TABLE_SHIFT = 6;

    private static final int PASID_ENTRY_WORDS = 8;

    /** Returned instead of an entry's first word, which has P. */
    private static final long REFUSED = 0;

    private final VtdCapabilities capabilities;
    private final Fabric fabric;
    private final boolean snoop;
    private final long rootReserved;
    private final long contextReserved0;
    private final long contextReserved1;
    private final long directoryReserved;
    private final long pasidReserved0;
    private final long pasidReserved1;
    private final long pasidReserved2;

    /**
     * Makes a reader.
     *
     * @param hostAddressWidth bits of a physical address; those above are reserved in entries
     */
    VtdScalableTables(VtdCapabilities capabilities, int hostAddressWidth, Fabric fabric) {
        this.capabilities = capabilities;
        this.fabric = fabric;
        snoop = capabilities.coherent;
        long beyondHost = SecondStage.beyond(hostAddressWidth);
        rootReserved = beyondHost | bits(11, 1, "reserved").mask();
        contextReserved0 = beyondHost
                | bits(8, 5, "reserved").mask()
                | (capabilities.deviceTlb ? 0 : DTE.mask())
                | (capabilities.pasid ? 0 : PASIDE.mask())
                | (capabilities.pageRequests ? 0 : PRE.mask());
        contextReserved1 = ~((capabilities.ridPasid ? RID_PASID.mask() : 0) | RID_PRIV.mask());
        directoryReserved = beyondHost | bits(11, 2, "reserved").mask();
        pasidReserved0 = beyondHost
                | bit(5, "reserved").mask()
                | bits(11, 10, "reserved").mask()
                | (capabilities.secondStageFlags ? 0 : SSADE.mask());
        pasidReserved1 = ~(bits(capabilities.domainIdBits - 1, 0, "DID").mask()
                | (capabilities.pageWalkSnoop ? PWSNP.mask() : 0)
                | (capabilities.snoopControl ? PGSNP.mask() : 0)
                | MEMORY_TYPE.mask());
        // WPE, NXE and SMEP, bits 134:132, concern supervisors' and execute requests, of which there are none.
        pasidReserved2 = beyondHost
                | bits(11, 8, "reserved").mask()
                | (capabilities.supervisorRequests ? 0 : SRE.mask())
                | (capabilities.executeRequests ? 0 : ERE.mask())
                | (capabilities.extendedAccessed ? 0 : EAFE.mask());
    }

    static boolean isRefusal(WideCache.Entry entry) {
        return !P.isSet(entry.first);
    }

    static int reason(WideCache.Entry refusal) {
        return (int) REASON.get(refusal.first);
    }

    static boolean faultProcessingDisabled(WideCache.Entry entry) {
        return FPD.isSet(entry.first);
    }

    static boolean allowsDeviceTlb(WideCache.Entry context) {
        return DTE.isSet(context.first);
    }

    static boolean allowsPasids(WideCache.Entry context) {
        return PASIDE.isSet(context.first);
    }

    static boolean allowsPageRequests(WideCache.Entry context) {
        return PRE.isSet(context.first);
    }

    static int ridPasid(WideCache.Entry context) {
        return (int) RID_PASID.get(context.second);
    }

    /** Returns log2 of the PASIDs that the directory covers: 13 to 20. */
    static int pasidBits(WideCache.Entry context) {
        return (int) PDTS.get(context.first) + 7 + TABLE_SHIFT;
    }

    static long directory(WideCache.Entry context) {
        return POINTER.getInPlace(context.first);
    }

    static int type(WideCache.Entry pasidEntry) {
        return (int) PGTT.get(pasidEntry.first);
    }

    static int domainId(WideCache.Entry pasidEntry) {
        return (int) DID.get(pasidEntry.tag);
    }

    static long secondStageTable(WideCache.Entry pasidEntry) {
        return POINTER.getInPlace(pasidEntry.first);
    }

    static int secondStageLevels(WideCache.Entry pasidEntry) {
        return (int) AW.get(pasidEntry.first) + 2;
    }

    static boolean setsSecondStageFlags(WideCache.Entry pasidEntry) {
        return SSADE.isSet(pasidEntry.first);
    }

    static long firstStageTable(WideCache.Entry pasidEntry) {
        return POINTER.getInPlace(pasidEntry.second);
    }

    static int firstStageLevels(WideCache.Entry pasidEntry) {
        return (int) KEPT_FSPM.get(pasidEntry.second) + 4;
    }

    static boolean snoopsWalks(WideCache.Entry pasidEntry) {
        return KEPT_PWSNP.isSet(pasidEntry.second);
    }

    static boolean snoopsData(WideCache.Entry pasidEntry) {
        return KEPT_PGSNP.isSet(pasidEntry.second);
    }

    /** Returns the flags that a use of a first-stage entry sets. */
    static long firstStageUse(WideCache.Entry pasidEntry) {
        return KEPT_EAFE.isSet(pasidEntry.second) ? FirstStage.A | FirstStage.EA : FirstStage.A;
    }

    private static void refuse(WideCache.Entry into, int reason, boolean disabled) {
        into.tag = NO_DOMAIN;
        into.first = (long) reason << 4 | (disabled ? FPD.mask() : 0);
        into.second = 0;
    }

    /** Reads a requester's context entry. */
    void readContext(long rootTable, int requesterId, WideCache.Entry into) {
        // One root entry of two halves for each bus; each half has a table of 128 contexts of 32 bytes.
        // VT-d 7.1.3, reasons 38h to 3Ah (SRT.1 to SRT.3).
        long root = readPresent(
                rootTable + (requesterId >>> 7) * 8L, rootReserved, FaultReason.SM_ROOT_ACCESS, false, into);
        if (root == REFUSED) {
            return;
        }
        long address = POINTER.getInPlace(root) + (requesterId & 0x7f) * 32L;
        // VT-d 7.1.3, reasons 40h to 42h (SCT.1 to SCT.3).
        long word0 = readPresent(address, contextReserved0, FaultReason.SM_CONTEXT_ACCESS, false, into);
        if (word0 == REFUSED) {
            return;
        }
        long word1 = fabric.read(address + 8, snoop);
        if ((word1 & contextReserved1) != 0
                || fabric.read(address + 16, snoop) != 0
                || fabric.read(address + 24, snoop) != 0) {
            // VT-d 7.1.3, reason 42h (SCT.3); the bits are 9.4's.
            refuse(into, FaultReason.SM_CONTEXT_RESERVED, FPD.isSet(word0));
            return;
        }
        into.tag = 0;
        into.first = word0;
        into.second = RID_PASID.get(word1);
    }

    /**
     * Reads a PASID's entry.
     *
     * @param context a usable context whose directory covers the PASID
     */
    void readPasid(WideCache.Entry context, int pasid, WideCache.Entry into) {
        boolean disabled = FPD.isSet(context.first);
        // VT-d 7.1.3, reasons 50h to 52h (SPD.1 to SPD.3).
        long directoryEntry = readPresent(
                directory(context) + (pasid >>> TABLE_SHIFT) * 8L,
                directoryReserved,
                FaultReason.SM_DIRECTORY_ACCESS,
                disabled,
                into);
        if (directoryEntry != REFUSED) {
            long table = POINTER.getInPlace(directoryEntry);
            readPasidEntry(
                    table + (pasid & ((1 << TABLE_SHIFT) - 1)) * 64L, disabled || FPD.isSet(directoryEntry), into);
        }
    }

    private void readPasidEntry(long address, boolean disabledAbove, WideCache.Entry into) {
        // VT-d 7.1.3, reasons 58h to 5Ah (SPT.1 to SPT.3).
        long word0 = readPresent(address, pasidReserved0, FaultReason.SM_PASID_ACCESS, disabledAbove, into);
        if (word0 == REFUSED) {
            return;
        }
        boolean disabled = disabledAbove || FPD.isSet(word0);
        long word1 = fabric.read(address + 8, snoop);
        long word2 = fabric.read(address + 16, snoop);
        boolean reserved = (word1 & pasidReserved1) != 0 || (word2 & pasidReserved2) != 0;
        for (int word = 3; word < PASID_ENTRY_WORDS; word++) {
            reserved |= fabric.read(address + word * 8L, snoop) != 0;
        }
        if (reserved) {
            // VT-d 7.1.3, reason 5Ah (SPT.3); the bits are 9.6's.
            refuse(into, FaultReason.SM_PASID_RESERVED, disabled);
            return;
        }
        into.tag = DID.get(word1);
        into.first = word0 | (disabled ? FPD.mask() : 0);
        into.second = POINTER.getInPlace(word2)
                | FSPM.get(word2)
                | (PWSNP.isSet(word1) ? KEPT_PWSNP.mask() : 0)
                | (PGSNP.isSet(word1) ? KEPT_PGSNP.mask() : 0)
                | (EAFE.isSet(word2) ? KEPT_EAFE.mask() : 0);
        if (!isSupported(into)) {
            // VT-d 7.1.3, reason 5Bh (SPT.4); 9.6 has the fields.
            refuse(into, FaultReason.SM_PASID_INVALID, disabled);
        }
    }

    /**
     * Reads the first word of an entry that must be present. In all four tables three consecutive reasons stand for an
     * entry that can't be read, is not present or has reserved bits.
     *
     * @param accessReason the first of the three
     * @return the word, or {@link #REFUSED} with the refusal in {@code into}
     */
    private long readPresent(
            long address, long reserved, int accessReason, boolean disabledAbove, WideCache.Entry into) {
        long word = fabric.read(address, snoop);
        boolean abort = VtdLegacyTables.isAbort(fabric, address, word, snoop);
        if (!abort && P.isSet(word) && (word & reserved) == 0) {
            return word;
        }
        int reason = abort ? accessReason : P.isSet(word) ? accessReason + 2 : accessReason + 1;
        refuse(into, reason, disabledAbove || (!abort && FPD.isSet(word)));
        return REFUSED;
    }

    private boolean isSupported(WideCache.Entry entry) {
        boolean firstStage = capabilities.firstStage
                && (firstStageLevels(entry) == 4 || (firstStageLevels(entry) == 5 && capabilities.firstStage5Levels));
        boolean secondStage = capabilities.secondStage && capabilities.hasLevels(secondStageLevels(entry));
        return switch (type(entry)) {
            case FIRST_STAGE -> firstStage;
            case SECOND_STAGE -> secondStage;
            case NESTED -> firstStage && secondStage && capabilities.nesting;
            case PASS_THROUGH -> capabilities.passThrough;
            default -> false;
        };
    }
}
