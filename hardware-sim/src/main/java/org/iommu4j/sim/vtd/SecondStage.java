// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;

/**
 * Second-stage paging entries: their fields, and the bits that a unit reserves.
 *
 * <p>Source: VT-d 3.7 and 9.8. Levels are counted from 1 at the bottom: SS-PTE, SS-PDE, SS-PDPTE, SS-PML4E, SS-PML5E.
 * There is no present bit: an entry with neither R nor W maps nothing.
 */
final class SecondStage {
    /** The greatest number of levels of any unit's tables. */
    static final int MAX_LEVELS = 5;

    private static final BitField R_FIELD = bit(0, "R");
    private static final BitField W_FIELD = bit(1, "W");
    private static final BitField PS = bit(7, "PS");
    private static final BitField A_FIELD = bit(8, "A");
    private static final BitField D_FIELD = bit(9, "D");
    private static final BitField SNP_FIELD = bit(11, "SNP");
    private static final BitField ADDR = bits(51, 12, "ADDR");
    private static final BitField TM = bit(62, "TM");

    /** Reads are allowed. */
    static final long R = R_FIELD.mask();
    /** Writes are allowed. */
    static final long W = W_FIELD.mask();
    /** The unit has used the entry. */
    static final long A = A_FIELD.mask();
    /** The unit has written through the entry. */
    static final long D = D_FIELD.mask();
    /** In a leaf: no-snoop is blocked. */
    static final long SNP = SNP_FIELD.mask();

    /** Reserved bits of an entry that points to a table, by level. */
    private final long[] tableReserved = new long[MAX_LEVELS + 1];

    /** Reserved bits of an entry that maps a page, by level up to 3. */
    private final long[] leafReserved = new long[4];

    /** Computes the reserved bits. */
    SecondStage(VtdCapabilities capabilities, int hostAddressWidth) {
        long addressReserved = beyond(hostAddressWidth) & ADDR.mask();
        long leafAnySize =
                addressReserved | (capabilities.snoopControl ? 0 : SNP) | (capabilities.deviceTlb ? 0 : TM.mask());
        for (int level = 1; level <= MAX_LEVELS; level++) {
            tableReserved[level] = addressReserved | SNP | TM.mask() | (level > 3 ? PS.mask() : 0);
        }
        leafReserved[1] = leafAnySize;
        leafReserved[2] = leafAnySize | bits(20, 12, "reserved").mask() | (capabilities.leaves2M ? 0 : PS.mask());
        leafReserved[3] = leafAnySize | bits(29, 12, "reserved").mask() | (capabilities.leaves1G ? 0 : PS.mask());
    }

    /** Returns the bits of a physical address that a host with a given address width lacks. */
    static long beyond(int hostAddressWidth) {
        return -1L << hostAddressWidth;
    }

    static boolean isLeaf(int level, long entry) {
        return level == 1 || (level <= 3 && PS.isSet(entry));
    }

    boolean leafHasReserved(int level, long entry) {
        return (entry & leafReserved[level]) != 0;
    }

    boolean tableHasReserved(int level, long entry) {
        return (entry & tableReserved[level]) != 0;
    }

    /** Returns the physical address of the page or table that an entry points to. */
    static long address(long entry) {
        return ADDR.getInPlace(entry);
    }

    /** Returns log2 of the bytes that an entry of a level covers. */
    static int shift(int level) {
        return 3 + 9 * level;
    }
}
