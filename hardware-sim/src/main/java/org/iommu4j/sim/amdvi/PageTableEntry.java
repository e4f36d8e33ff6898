// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * An entry of a host (v1) table: of a directory, which points to a lower table, or of a page.
 *
 * <p>Source: 48882, section 2.2.3, "I/O Page Tables for Host Translations". Bits named ignored belong to software.
 */
final class PageTableEntry {
    static final BitField PR = bit(0, "PR");
    /** Level of the table below; {@link #PAGE} and {@link #PAGE_OF_ENCODED_SIZE} make the entry a page. */
    static final BitField NEXT_LEVEL = bits(11, 9, "NextLevel");

    static final BitField ADDRESS = bits(51, 12, "Address");
    /** Accessed and dirty, which the unit sets where HAD of the device table entry is set. */
    static final BitField A = bit(5, "A");

    static final BitField D = bit(6, "D");
    /** Force coherent: a no-snoop request to this page is snooped nevertheless. */
    static final BitField FC = bit(60, "FC");

    static final BitField IR = bit(61, "IR");
    static final BitField IW = bit(62, "IW");

    static final Layout PAGE_LAYOUT = Layout.of(
            "PTE",
            PR,
            bits(4, 1, "ignored low"),
            A,
            D,
            bits(8, 7, "ignored"),
            NEXT_LEVEL,
            ADDRESS,
            bit(59, "U"),
            FC,
            IR,
            IW,
            bit(63, "ignored high"));
    static final Layout DIRECTORY_LAYOUT = Layout.of(
            "PDE",
            PR,
            bits(4, 1, "ignored low"),
            A,
            bits(8, 6, "ignored"),
            NEXT_LEVEL,
            ADDRESS,
            IR,
            IW,
            bit(63, "ignored high"));

    /** A page of the level's default size. */
    static final int PAGE = 0;

    /** A page whose size the address field encodes: 2^(n+1) bytes, n being the lowest clear bit from 12 on. */
    static final int PAGE_OF_ENCODED_SIZE = 7;

    private static final long PAGE_RESERVED = PAGE_LAYOUT.reserved(0);
    private static final long DIRECTORY_RESERVED = DIRECTORY_LAYOUT.reserved(0);
    private static final int PAGE_SHIFT = 12;
    private static final int LEVEL_SHIFT = 9;
    private static final int PHYSICAL_BITS = 52;

    private PageTableEntry() {}

    /** Returns whether an entry that is present maps a page. */
    static boolean isPage(long entry) {
        long next = NEXT_LEVEL.get(entry);
        return next == PAGE || next == PAGE_OF_ENCODED_SIZE;
    }

    /** Returns whether an entry that is present has a reserved bit set. */
    static boolean hasReservedBits(long entry) {
        return (entry & (isPage(entry) ? PAGE_RESERVED : DIRECTORY_RESERVED)) != 0;
    }

    /** Returns log2 of the bytes that an entry of a level covers, 12 for level 1. */
    static int shift(int level) {
        return PAGE_SHIFT + LEVEL_SHIFT * (level - 1);
    }

    /** Returns log2 of the bytes of a page, or 0 when an entry of that level can't have that size. */
    static int pageShift(long entry, int level) {
        int shift = shift(level);
        if (NEXT_LEVEL.get(entry) == PAGE_OF_ENCODED_SIZE) {
            int encoded = Long.numberOfTrailingZeros(~(entry | 0xfff) | 1L << PHYSICAL_BITS) + 1;
            // An encoded size lies between the level's default and that of the level above.
            if (encoded <= shift || encoded >= shift + LEVEL_SHIFT) {
                return 0;
            }
            shift = encoded;
        }
        // A size must fit into a physical address; the default of level 6 does not.
        return shift > PHYSICAL_BITS ? 0 : shift;
    }

    /** Returns the first address of a page of 2^shift bytes. */
    static long pageAddress(long entry, int shift) {
        return ADDRESS.getInPlace(entry) & -(1L << shift);
    }
}
