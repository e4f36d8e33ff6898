// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;

/** The second word of an MSI PTE in MRIF mode: the message that is sent when the file has changed. */
final class MrifNotice {
    static final BitField ID_LOW = bits(9, 0, "NID[9:0]");
    static final BitField PPN = bits(53, 10, "NPPN");
    static final BitField ID_HIGH = bit(60, "NID[10]");

    private MrifNotice() {}

    static long address(long word) {
        return PPN.get(word) << 12;
    }

    static int id(long word) {
        return (int) (ID_HIGH.get(word) << 10 | ID_LOW.get(word));
    }
}
