// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.fmt;

import static org.iommu4j.bits.BitField.absolute;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * PASID entry, VT-d 9.6: the translation of a device's requests with one PASID; 64 in a table's frame.
 *
 * <p>Of its 8 words the driver uses the lowest three; the others are 0.
 */
public final class PasidEntry {
    /** Bytes of an entry. */
    public static final int SIZE = 64;
    /** Entries in a table. */
    public static final int PER_TABLE = 64;

    /** The PASID whose entry serves requests without PASID: RID_PASID, Linux's {@code IOMMU_NO_PASID}. */
    public static final int NO_PASID = 0;

    /** Granular translation type: first stage alone. */
    public static final long PGTT_FIRST_STAGE = 1;
    /** Granular translation type: second stage alone. */
    public static final long PGTT_SECOND_STAGE = 2;
    /** Granular translation type: first stage, whose tables and results go through the second. */
    public static final long PGTT_NESTED = 3;
    /** Granular translation type: pass-through. */
    public static final long PGTT_PASS_THROUGH = 4;

    /** Present. */
    public static final BitField P = absolute(0, 0, "P");
    /** Fault processing disable. */
    public static final BitField FPD = absolute(1, 1, "FPD");
    /** Address width of the second stage: levels less 2. */
    public static final BitField AW = absolute(4, 2, "AW");
    /** Second-stage execute enable. */
    public static final BitField SSEE = absolute(5, 5, "SSEE");
    /** Granular translation type. */
    public static final BitField PGTT = absolute(8, 6, "PGTT");
    /** Second-stage access and dirty bits are kept. */
    public static final BitField SSADE = absolute(9, 9, "SSADE");
    /** Second-stage page-table pointer, in place. */
    public static final BitField SSPTPTR = absolute(63, 12, "SSPTPTR");
    /** Domain id, the tag of cached entries. */
    public static final BitField DID = absolute(79, 64, "DID");
    /** Page-walk snoop: tables are walked through the CPU caches. */
    public static final BitField PWSNP = absolute(87, 87, "PWSNP");
    /** Page snoop: no-snoop of the requests is overridden. Reserved when ECAP.SC is 0. */
    public static final BitField PGSNP = absolute(88, 88, "PGSNP");
    /** Cache disable. */
    public static final BitField CD = absolute(89, 89, "CD");
    /** Extended memory type enable. */
    public static final BitField EMTE = absolute(90, 90, "EMTE");
    /** Page attribute table. */
    public static final BitField PAT = absolute(127, 96, "PAT");
    /** Supervisor requests are translated. */
    public static final BitField SRE = absolute(128, 128, "SRE");
    /** First-stage execute enable. */
    public static final BitField ERE = absolute(129, 129, "ERE");
    /** First-stage paging mode: 0 is 4 levels, 1 is 5. */
    public static final BitField FSPM = absolute(131, 130, "FSPM");
    /** Write protection holds for supervisor requests. */
    public static final BitField WPE = absolute(132, 132, "WPE");
    /** No-execute enable: XD of first-stage entries has an effect; otherwise it is reserved. */
    public static final BitField NXE = absolute(133, 133, "NXE");
    /** Supervisor requests can't execute pages of users. */
    public static final BitField SMEP = absolute(134, 134, "SMEP");
    /** Extended accessed flag enable. */
    public static final BitField EAFE = absolute(135, 135, "EAFE");
    /** First-stage page-table pointer, in place; guest-physical when nested. */
    public static final BitField FSPTPTR = absolute(191, 140, "FSPTPTR");

    /** The fields, lowest first. */
    public static final Layout LAYOUT = Layout.of(
            "PASID entry, VT-d 9.6",
            8,
            P,
            FPD,
            AW,
            SSEE,
            PGTT,
            SSADE,
            SSPTPTR,
            DID,
            PWSNP,
            PGSNP,
            CD,
            EMTE,
            PAT,
            SRE,
            ERE,
            FSPM,
            WPE,
            NXE,
            SMEP,
            EAFE,
            FSPTPTR);

    private PasidEntry() {}

    /**
     * Returns the lowest word of a present entry.
     *
     * @param type a granular translation type
     * @param levels levels of the second stage, 3 to 5; without one, of the widest that the unit supports
     * @param secondStage physical address of the second stage's top table, or 0
     * @param trackDirty whether second-stage access and dirty bits are kept
     */
    public static long word0(long type, int levels, long secondStage, boolean trackDirty) {
        return P.of(1)
                | AW.of(levels - 2)
                | PGTT.of(type)
                | (trackDirty ? SSADE.mask() : 0)
                | SSPTPTR.getInPlace(secondStage);
    }

    /** Returns the second word. */
    public static long word1(int domainId, boolean snoopWalks, boolean snoopPages) {
        return DID.of(domainId) | (snoopWalks ? PWSNP.mask() : 0) | (snoopPages ? PGSNP.mask() : 0);
    }

    /**
     * Returns the third word of an entry with a first stage.
     *
     * @param levels 4 or 5
     * @param firstStage physical address of its top table
     * @param executeDisable whether its entries may have XD
     */
    public static long word2(int levels, long firstStage, boolean executeDisable) {
        return FSPM.of(levels - 4) | (executeDisable ? NXE.mask() : 0) | FSPTPTR.getInPlace(firstStage);
    }

    /**
     * Returns the third word of a nested entry.
     *
     * @param levels of the guest's table, 4 or 5
     * @param firstStage guest-physical address of its top table
     * @param supervisor whether supervisor requests are translated
     * @param writeProtect whether write protection holds for them
     * @param extendedAccessed whether the extended accessed flag is set in entries
     */
    public static long guestWord2(
            int levels, long firstStage, boolean supervisor, boolean writeProtect, boolean extendedAccessed) {
        return word2(levels, firstStage, false)
                | (supervisor ? SRE.mask() : 0)
                | (writeProtect ? WPE.mask() : 0)
                | (extendedAccessed ? EAFE.mask() : 0);
    }
}
