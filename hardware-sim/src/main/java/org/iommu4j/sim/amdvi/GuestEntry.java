// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * Entries of guest (v2) structures: of a GCR3 table, which holds a PASID's root, and of the tables below, in the
 * processor's long-mode format.
 *
 * <p>Source: 48882, section 2.2.6, "Guest Virtual Address Translation", and AMD64 Architecture Programmer's Manual,
 * volume 2, section 5.3, "Long-Mode Page Translation". They have no bit that forces a request to be coherent.
 */
final class GuestEntry {
    static final BitField P = bit(0, "P");
    static final BitField RW = bit(1, "R/W");
    /** Users' requests are allowed; every request is a user's. */
    static final BitField US = bit(2, "U/S");

    static final BitField A = bit(5, "A");
    static final BitField D = bit(6, "D");
    /** Page size: the entry of level 2 or 3 maps a page. */
    static final BitField PS = bit(7, "PS");

    static final BitField ADDRESS = bits(51, 12, "Address");
    static final BitField NX = bit(63, "NX");

    /** Bit 7 is PAT in level 1, PS in 2 and 3, and must be 0 above. */
    static final Layout LAYOUT = Layout.of(
            "guest PTE",
            P,
            RW,
            US,
            bit(3, "PWT"),
            bit(4, "PCD"),
            A,
            D,
            PS,
            bit(8, "G"),
            bits(11, 9, "AVL"),
            ADDRESS,
            bits(62, 52, "available"),
            NX);

    /** Of a GCR3 table: V, and the next table or the root. */
    static final Layout GCR3_LAYOUT = Layout.of("GCR3 entry", bit(0, "V"), ADDRESS);

    private static final long GCR3_RESERVED = GCR3_LAYOUT.reserved(0);
    private static final int LARGEST_PAGE_LEVEL = 3;
    /** PAT of a large page, in address bits that its size leaves unused. */
    private static final long LARGE_PAT = 1L << 12;

    private GuestEntry() {}

    /** Returns whether an entry that is present maps a page. */
    static boolean isPage(long entry, int level) {
        return level == 1 || (PS.isSet(entry) && level <= LARGEST_PAGE_LEVEL);
    }

    /**
     * Returns whether an entry that is present has a reserved bit set.
     *
     * @param noExecute whether the unit supports NX, which is reserved otherwise
     */
    static boolean hasReservedBits(long entry, int level, boolean noExecute) {
        long reserved = noExecute ? 0 : NX.mask();
        if (level > LARGEST_PAGE_LEVEL) {
            reserved |= PS.mask();
        } else if (level > 1 && PS.isSet(entry)) {
            reserved |= ADDRESS.mask() & ((1L << PageTableEntry.shift(level)) - 1) & ~LARGE_PAT;
        }
        return (entry & reserved) != 0;
    }

    /** Returns whether a valid entry of a GCR3 table has a reserved bit set. */
    static boolean gcr3HasReservedBits(long entry) {
        return (entry & GCR3_RESERVED) != 0;
    }

    /** Returns the first address of an entry's page. */
    static long pageAddress(long entry, int level) {
        return ADDRESS.getInPlace(entry) & -(1L << PageTableEntry.shift(level));
    }

    /** Returns the rights of users in an entry, as IR and IW of a host entry. */
    static long rights(long entry) {
        if (!US.isSet(entry)) {
            return 0;
        }
        return PageTableEntry.IR.mask() | (RW.isSet(entry) ? PageTableEntry.IW.mask() : 0);
    }

    /** Returns whether tables with a number of levels can translate an address: its high bits are all equal. */
    static boolean isCanonical(long address, int levels) {
        long high = address >> (PageTableEntry.shift(levels + 1) - 1);
        return high == 0 || high == -1;
    }
}
