// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.iommu4j.bits.BitField.absolute;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * A device table entry: 256 bits for each requester id.
 *
 * <p>Source: 48882, section 2.2.2, "Device Table". A field of a feature that the unit lacks is reserved.
 */
final class AmdViDeviceTableEntry {
    static final int BYTES = 32;

    static final BitField V = absolute(0, 0, "V");
    static final BitField TV = absolute(1, 1, "TV");
    /** The unit sets host entries' accessed bits; with the second bit also dirty bits. */
    static final BitField HA = absolute(7, 7, "HAD accessed");

    static final BitField HD = absolute(8, 8, "HAD dirty");
    /** Levels of the host table: 0 none, 1 to 6, 7 reserved. */
    static final BitField MODE = absolute(11, 9, "Mode");

    static final BitField ROOT = absolute(51, 12, "HostPtRootPtr");
    /** Requests without PASID go through the guest tables of PASID 0. */
    static final BitField GIOV = absolute(54, 54, "GIOV");
    /** Guest tables are valid. */
    static final BitField GV = absolute(55, 55, "GV");
    /** Levels of the GCR3 table minus 1; 3 is reserved. */
    static final BitField GLX = absolute(57, 56, "GLX");
    /** Bits 14:12 of the GCR3 table's address. */
    private static final BitField GCR3_LOW = absolute(60, 58, "GCR3TRP 14:12");

    static final BitField IR = absolute(61, 61, "IR");
    static final BitField IW = absolute(62, 62, "IW");
    static final BitField DOMAIN_ID = absolute(79, 64, "DomainID");
    /** Bits 30:15 and 51:31 of the GCR3 table's address. */
    private static final BitField GCR3_MIDDLE = absolute(95, 80, "GCR3TRP 30:15");

    private static final BitField GCR3_HIGH = absolute(127, 107, "GCR3TRP 51:31");
    /** The device may cache translations (ATS). */
    static final BitField I = absolute(96, 96, "I");
    /** Suppress page fault events after the first. */
    static final BitField SE = absolute(97, 97, "SE");
    /** Suppress all page fault events. */
    static final BitField SA = absolute(98, 98, "SA");
    /** The exclusion range applies. */
    static final BitField EX = absolute(103, 103, "EX");
    /** Levels of guest tables: 0 stands for 4, 1 for 5; the others are reserved. */
    static final BitField GUEST_PAGING_MODE = absolute(183, 182, "GuestPagingMode");
    /** With Mode 0, requests are forced to be coherent. */
    static final BitField MODE_0_FC = absolute(247, 247, "Mode0FC");

    /** The device may send page requests. */
    static final BitField PPR = absolute(52, 52, "PPR");
    /** Answers to its page requests carry a PASID. */
    static final BitField GPRP = absolute(53, 53, "GPRP");

    static final Layout LAYOUT = Layout.of(
            "DTE",
            4,
            V,
            TV,
            HA,
            HD,
            MODE,
            ROOT,
            PPR,
            GPRP,
            GIOV,
            GV,
            GLX,
            GCR3_LOW,
            IR,
            IW,
            DOMAIN_ID,
            GCR3_MIDDLE,
            I,
            SE,
            SA,
            absolute(100, 99, "IoCtl"),
            absolute(101, 101, "Cache"),
            absolute(102, 102, "SD"),
            EX,
            absolute(105, 104, "SysMgt"),
            GCR3_HIGH,
            absolute(128, 128, "IV"),
            absolute(132, 129, "IntTabLen"),
            absolute(133, 133, "IG"),
            absolute(179, 134, "IntTabRootPtr"),
            GUEST_PAGING_MODE,
            absolute(184, 184, "InitPass"),
            absolute(185, 185, "EIntPass"),
            absolute(186, 186, "NMIPass"),
            absolute(187, 187, "HPTMode"),
            absolute(189, 188, "IntCtl"),
            absolute(190, 190, "Lint0Pass"),
            absolute(191, 191, "Lint1Pass"),
            absolute(207, 207, "vImuEn"),
            absolute(223, 208, "GDeviceID"),
            absolute(239, 224, "GuestID"),
            absolute(246, 246, "AttrV"),
            MODE_0_FC,
            absolute(255, 248, "SnoopAttribute"));

    private static final long RESERVED_0 = LAYOUT.reserved(0);
    private static final long RESERVED_1 = LAYOUT.reserved(1);
    private static final long RESERVED_2 = LAYOUT.reserved(2);
    private static final long RESERVED_3 = LAYOUT.reserved(3);
    private static final long GUEST_0 = GPRP.mask() | GIOV.mask() | GV.mask() | GLX.mask() | GCR3_LOW.mask();
    private static final long GUEST_1 = GCR3_MIDDLE.mask() | GCR3_HIGH.mask();

    private AmdViDeviceTableEntry() {}

    /** Returns whether a reserved bit of a valid entry is set, or one of a feature that the unit lacks. */
    static boolean hasReservedBits(long word0, long word1, long word2, long word3, AmdViFeatures features) {
        long reserved0 = RESERVED_0;
        long reserved1 = RESERVED_1;
        long reserved2 = RESERVED_2;
        if (!features.guest) {
            reserved0 |= GUEST_0;
            reserved1 |= GUEST_1;
            reserved2 |= GUEST_PAGING_MODE.mask();
        }
        reserved0 |= features.guestWithoutPasid ? 0 : GIOV.mask();
        reserved0 |= features.pageRequests ? 0 : PPR.mask() | GPRP.mask();
        reserved0 |= features.hostAccessed ? 0 : HA.mask();
        reserved0 |= features.hostDirty ? 0 : HD.mask();
        return (word0 & reserved0) != 0
                || (word1 & reserved1) != 0
                || (word2 & reserved2) != 0
                || (word3 & RESERVED_3) != 0;
    }

    /**
     * Returns whether a valid entry demands levels that the unit lacks or that do not exist, or dirty bits alone.
     */
    static boolean isImpossible(long word0, long word2, AmdViFeatures features) {
        if (MODE.get(word0) > features.hostLevels || (HD.isSet(word0) && !HA.isSet(word0))) {
            return true;
        }
        return GV.isSet(word0)
                && (GLX.get(word0) >= features.gcr3Levels || GUEST_PAGING_MODE.get(word2) > features.guestLevels - 4);
    }

    /** Returns IR and IW, which a host table's entry has in the same places. */
    static long rights(long word0) {
        return word0 & (IR.mask() | IW.mask());
    }

    /** Returns the address of the GCR3 table: guest physical when there are host tables, else system physical. */
    static long gcr3Table(long word0, long word1) {
        return GCR3_LOW.get(word0) << 12 | GCR3_MIDDLE.get(word1) << 15 | GCR3_HIGH.get(word1) << 31;
    }
}
