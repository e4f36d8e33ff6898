// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.fmt;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * An entry of a first-stage table: Sv39, Sv48 and Sv57 of the RISC-V privileged architecture, with Svnapot and Svpbmt.
 *
 * <p>A valid entry without R, W and X leads to a table. A leaf with N is one of 16 equal ones, which together map 64
 * KiB. Write without read is reserved.
 */
public final class PageEntry {
    /** Valid. */
    public static final BitField V = bit(0, "V");
    /** Readable. */
    public static final BitField R = bit(1, "R");
    /** Writable. */
    public static final BitField W = bit(2, "W");
    /** Executable. */
    public static final BitField X = bit(3, "X");
    /** Not for privileged requests alone. */
    public static final BitField U = bit(4, "U");
    /** Global. */
    public static final BitField G = bit(5, "G");
    /** Accessed. */
    public static final BitField A = bit(6, "A");
    /** Dirty. */
    public static final BitField D = bit(7, "D");
    /** Page number. */
    public static final BitField PPN = bits(53, 10, "PPN");
    /** Memory type: 0 as the memory is, 1 no cache, 2 I/O. */
    public static final BitField PBMT = bits(62, 61, "PBMT");
    /** One of 16 equal entries. */
    public static final BitField N = bit(63, "N");

    /** The entry. */
    public static final Layout LAYOUT = Layout.of("PTE", V, R, W, X, U, G, A, D, PPN, PBMT, N);

    /** Bits of which a leaf has at least one. */
    public static final long LEAF = R.mask() | W.mask() | X.mask();

    /** log2 of the bytes of 16 entries of 4 KiB. */
    public static final int NAPOT_SHIFT = 16;

    /** Memory type of memory that nothing caches. */
    public static final long TYPE_NO_CACHE = 1;
    /** Memory type of a device's registers. */
    public static final long TYPE_IO = 2;

    private static final int PAGE_SHIFT = 12;
    private static final int TO_ADDRESS = PAGE_SHIFT - 10;

    /** The page number of a leaf of 64 KiB ends in this, which says how many entries are equal. */
    private static final long NAPOT_MARK = 8L << 10;

    private PageEntry() {}

    /** Makes an entry that leads to a table. */
    public static long table(long physicalAddress) {
        return V.mask() | ppn(physicalAddress);
    }

    /** Returns a page number in place; the address has at most 56 bits. */
    public static long ppn(long physicalAddress) {
        return physicalAddress >>> TO_ADDRESS;
    }

    /** Returns the address that an entry's page number is. */
    public static long address(long entry) {
        return (entry & PPN.mask()) << TO_ADDRESS;
    }

    /** Makes one of 16 equal leaves of one that maps the first 4 KiB. */
    public static long napot(long leaf) {
        return leaf | N.mask() | NAPOT_MARK;
    }
}
