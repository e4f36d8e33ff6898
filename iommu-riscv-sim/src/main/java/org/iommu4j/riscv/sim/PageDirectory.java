// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;

/** Entries of directories that lead to tables, of devices and of processes alike. */
final class PageDirectory {
    private static final BitField V = bit(0, "V");
    private static final BitField PPN = bits(53, 10, "PPN");

    private PageDirectory() {}

    static boolean isValid(long entry) {
        return V.isSet(entry);
    }

    /** Returns whether a valid entry has reserved bits. */
    static boolean isMalformed(long entry) {
        return (entry & ~(V.mask() | PPN.mask())) != 0;
    }

    /** Returns the address of the table. */
    static long next(long entry) {
        return PPN.get(entry) << 12;
    }
}
