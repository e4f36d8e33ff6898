// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;

/**
 * First-stage paging entries: their fields, and the bits that a unit reserves.
 *
 * <p>Source: VT-d 3.6 and 9.7. The format is the processor's for 4- and 5-level paging. Levels are counted from 1
 * at the bottom: FS-PTE, FS-PDE, FS-PDPE, FS-PML4E, FS-PML5E. XD concerns execute requests only, and there are none.
 */
final class FirstStage {
    private static final BitField P_FIELD = bit(0, "P");
    private static final BitField RW_FIELD = bit(1, "R/W");
    private static final BitField US_FIELD = bit(2, "U/S");
    private static final BitField A_FIELD = bit(5, "A");
    private static final BitField D_FIELD = bit(6, "D");
    private static final BitField PS = bit(7, "PS");
    private static final BitField EA_FIELD = bit(10, "EA");
    private static final BitField ADDR = bits(51, 12, "ADDR");

    /** The entry is present. */
    static final long P = P_FIELD.mask();
    /** Writes are allowed. */
    static final long RW = RW_FIELD.mask();
    /** Users' requests are allowed. */
    static final long US = US_FIELD.mask();
    /** The entry was used. */
    static final long A = A_FIELD.mask();
    /** The page was written. */
    static final long D = D_FIELD.mask();
    /** The entry was used by a unit with EAFE. */
    static final long EA = EA_FIELD.mask();

    private final long[] tableReserved = new long[6];
    private final long[] leafReserved = new long[4];

    /** Computes the reserved bits. */
    FirstStage(VtdCapabilities capabilities, int hostAddressWidth) {
        long addressReserved = SecondStage.beyond(hostAddressWidth) & ADDR.mask();
        for (int level = 1; level <= 5; level++) {
            tableReserved[level] = addressReserved | (level > 3 ? PS.mask() : 0);
        }
        leafReserved[1] = addressReserved;
        // Bit 12 of a large page is PAT.
        leafReserved[2] = addressReserved | bits(20, 13, "reserved").mask();
        leafReserved[3] =
                addressReserved | bits(29, 13, "reserved").mask() | (capabilities.firstStageLeaves1G ? 0 : PS.mask());
    }

    static boolean isLeaf(int level, long entry) {
        return level == 1 || (level <= 3 && PS.isSet(entry));
    }

    boolean hasReserved(int level, long entry) {
        return (entry & (isLeaf(level, entry) ? leafReserved[level] : tableReserved[level])) != 0;
    }

    /** Returns the address of the table that an entry points to. */
    static long table(long entry) {
        return ADDR.getInPlace(entry);
    }

    /** Returns the address of the page that a leaf of some level maps. */
    static long page(int level, long entry) {
        return ADDR.getInPlace(entry) & (-1L << SecondStage.shift(level));
    }

    /** Returns whether all bits of an address above those that the tables translate are equal. */
    static boolean isCanonical(int levels, long address) {
        int unused = 64 - 12 - 9 * levels;
        return address << unused >> unused == address;
    }
}
