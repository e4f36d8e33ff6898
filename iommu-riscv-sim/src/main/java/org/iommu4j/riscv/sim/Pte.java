// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import org.iommu4j.bits.BitField;

/**
 * Page-table entries of both stages, and the form in which they are cached.
 *
 * <p>Source: Privileged specification, Sv39 and its kin, Svnapot, Svpbmt. A cached entry is the PTE itself with the
 * {@link #SIZE} of what it covers in bits that are reserved in memory. A superpage's PPN has zeros below its size, and
 * so has that of 64 KiB.
 */
final class Pte {
    static final long V = 1;
    static final long R = 1 << 1;
    static final long W = 1 << 2;
    static final long X = 1 << 3;
    static final long U = 1 << 4;
    static final long G = 1 << 5;
    static final long A = 1 << 6;
    static final long D = 1 << 7;
    static final long RIGHTS = R | W | X;

    /** How far W is below D. */
    static final int W_TO_D = 5;

    private static final long N = 1L << 63;
    private static final BitField PPN = BitField.bits(53, 10, "PPN");
    private static final BitField PBMT = BitField.bits(62, 61, "PBMT");
    private static final int PBMT_RESERVED = 3;

    /** The size of a cached entry, as a place in {@link #SHIFTS}. */
    private static final BitField SIZE = BitField.bits(56, 54, "SIZE");

    /** The shift of 64 KiB is not of any level; level 0 is 4 KiB, 1 is 2 MiB, and so on. */
    private static final int[] SHIFTS = {12, 16, 21, 30, 39, 48};

    /** How many sizes there are. */
    static final int SIZES = SHIFTS.length;

    private static final int SIZE_64K = 1;
    private static final long NAPOT_64K = 8;

    private Pte() {}

    /** Returns the size of an entry of a level. */
    static int size(int level) {
        return level == 0 ? 0 : level + 1;
    }

    /** Returns the level of a cached entry that leads to a table. */
    static int level(long entry) {
        return (int) SIZE.get(entry) - 1;
    }

    static int sizeOf(long entry) {
        return (int) SIZE.get(entry);
    }

    /** Returns log2 of the bytes of a size. */
    static int shift(int size) {
        return SHIFTS[size];
    }

    static int shiftOf(long entry) {
        return SHIFTS[sizeOf(entry)];
    }

    static int memoryType(long entry) {
        return (int) PBMT.get(entry);
    }

    /** Returns the address that a table's or a page's entry has. */
    static long address(long entry) {
        return PPN.get(entry) << 12;
    }

    /** Returns what an address in a cached page translates to. */
    static long translate(long page, long address) {
        return address(page) | (address & ((1L << shiftOf(page)) - 1));
    }

    /** Makes a page of 4 KiB that may be read and written by everybody, which is what an MSI PTE stands for. */
    static long msiPage(long word) {
        return PPN.getInPlace(word) | V | R | W | U | A | D;
    }

    /** Returns the cached form of an entry in memory, or 0 when it is not valid or malformed. */
    static long decode(long pte, int level, long reserved) {
        if ((pte & V) == 0 || (pte & (R | W)) == W || (pte & reserved) != 0 || PBMT.get(pte) == PBMT_RESERVED) {
            return 0;
        }
        if (!isLeaf(pte)) {
            boolean malformed = level == 0 || (pte & (U | A | D | N | PBMT.mask())) != 0;
            return malformed ? 0 : (pte & ~SIZE.mask()) | SIZE.of(size(level));
        }
        if ((pte & N) != 0) {
            boolean of64K = level == 0 && (PPN.get(pte) & 0xf) == NAPOT_64K;
            return of64K ? (pte & ~(N | PPN.of(NAPOT_64K))) | SIZE.of(SIZE_64K) : 0;
        }
        boolean misaligned = (PPN.get(pte) & ((1L << (9 * level)) - 1)) != 0;
        return misaligned ? 0 : pte | SIZE.of(size(level));
    }

    static boolean isLeaf(long entry) {
        return (entry & (R | X)) != 0;
    }
}
