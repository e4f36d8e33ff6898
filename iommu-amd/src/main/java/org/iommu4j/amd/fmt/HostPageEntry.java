// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.fmt;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * An entry of a host (v1) page table, 48882 section 2.2.3.
 *
 * <p>A leaf has {@link #NEXT_LEVEL} 0 or 7. With 0 it maps what an entry of its level covers. With 7 its address
 * encodes a larger size, and every slot that the page covers has the same entry. Any other value is a table of that
 * level.
 */
public final class HostPageEntry {
    /** Present. */
    public static final BitField PR = bit(0, "PR");
    /** Dirty, set by hardware when host dirty tracking is on. */
    public static final BitField D = bit(6, "D");
    /** Level of the table that the entry points to; 0 and 7 are leaves. */
    public static final BitField NEXT_LEVEL = bits(11, 9, "NextLevel");
    /** Physical address bits of the page or of the next table. */
    public static final BitField ADDRESS = bits(51, 12, "Address");
    /** Untranslated attribute of ATS responses. */
    public static final BitField U = bit(59, "U");
    /** Force coherent: the access is snooped, whatever the request's no-snoop attribute is. Leaves only. */
    public static final BitField FC = bit(60, "FC");
    /** Read permission. */
    public static final BitField IR = bit(61, "IR");
    /** Write permission. */
    public static final BitField IW = bit(62, "IW");

    /** The entry. */
    public static final Layout LAYOUT = Layout.of("HostPTE (48882 2.2.3)", PR, D, NEXT_LEVEL, ADDRESS, U, FC, IR, IW);

    /** {@link #NEXT_LEVEL} of a leaf whose address encodes its size. */
    public static final int ENCODED_SIZE = 7;
    /** Address bits that one level translates. */
    public static final int LEVEL_BITS = 9;
    /** log2 of the smallest page. */
    public static final int MIN_SHIFT = 12;
    /** The physical address width that an entry holds. */
    public static final int PHYSICAL_BITS = 52;
    /** The deepest table. */
    public static final int MAX_LEVELS = 6;

    private HostPageEntry() {}

    /** Returns log2 of the bytes that an entry of a table covers; level 1 is the lowest. */
    public static int shift(int level) {
        return MIN_SHIFT + (level - 1) * LEVEL_BITS;
    }

    /**
     * Makes a leaf.
     *
     * @param physicalAddress aligned to the page
     * @param sizeShift log2 of the page's size
     * @param permissions {@link #IR} and {@link #IW} in place
     * @param attributes {@link #FC} in place, or 0
     */
    public static long leaf(long physicalAddress, int sizeShift, long permissions, long attributes) {
        long common = PR.mask() | permissions | attributes;
        if ((sizeShift - MIN_SHIFT) % LEVEL_BITS == 0) {
            return common | physicalAddress;
        }
        // The lowest zero of the address field, with ones below it, encodes the size: half the page's size.
        long size = 1L << sizeShift;
        long encoded = (physicalAddress | (size - 1)) & ~(size >>> 1) & ADDRESS.mask();
        return common | encoded | (long) ENCODED_SIZE << NEXT_LEVEL.low();
    }

    /** Makes an entry that points to a table of a level; it grants all rights, leaves decide. */
    public static long table(long physicalAddress, int level) {
        return PR.mask() | IR.mask() | IW.mask() | (long) level << NEXT_LEVEL.low() | physicalAddress;
    }

    /** Returns whether a present entry points to a table. */
    public static boolean isTable(long entry) {
        long next = NEXT_LEVEL.get(entry);
        return next != 0 && next != ENCODED_SIZE;
    }

    /** Returns log2 of the size of a leaf found in a table of a level. */
    public static int leafShift(long entry, int level) {
        if (NEXT_LEVEL.get(entry) == 0) {
            return shift(level);
        }
        // Trailing ones of the address field, then the zero that is the upper half's lowest bit.
        int shift = MIN_SHIFT + Long.numberOfTrailingZeros(~(entry >>> MIN_SHIFT)) + 1;
        if (shift <= shift(level) || shift >= shift(level + 1)) {
            throw new IllegalStateException(
                    "size 2^" + shift + " does not belong into a level " + level + " table: " + LAYOUT.decode(entry));
        }
        return shift;
    }

    /** Returns the physical address that a leaf of a size starts at. */
    public static long leafAddress(long entry, int sizeShift) {
        return entry & ADDRESS.mask() & -(1L << sizeShift);
    }
}
