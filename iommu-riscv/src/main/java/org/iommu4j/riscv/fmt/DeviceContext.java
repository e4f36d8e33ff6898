// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.fmt;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * The device directory: entries that lead to a table, and device contexts of 4 words, or of 8 where the unit has flat
 * MSI tables. "Device-directory-table (DDT)".
 */
public final class DeviceContext {
    /** A non-leaf entry, or a device context, is valid. */
    public static final BitField V = bit(0, "V");
    /** Page number of a non-leaf entry. */
    public static final BitField PPN = bits(53, 10, "PPN");
    /** Translation control: the unit sets A and D of first-stage entries. */
    public static final BitField SADE = bit(8, "SADE");
    /** Translation attributes: tag of the unit's cached translations. */
    public static final BitField PSCID = new BitField("PSCID", 31, 12, 2);
    /** First stage: page number of the root. */
    public static final BitField FSC_PPN = new BitField("fsc.PPN", 43, 0, 3);
    /** First stage: kind of the table. */
    public static final BitField FSC_MODE = new BitField("fsc.MODE", 63, 60, 3);

    /** A non-leaf entry. */
    public static final Layout NON_LEAF = Layout.of("DDT entry", V, PPN);

    /** The words of a context that the driver writes: tc, iohgatp, ta, fsc. */
    public static final Layout LAYOUT = Layout.of("DC", 4, V, SADE, PSCID, FSC_PPN, FSC_MODE);

    /** Bytes from a context's start to its translation control. */
    public static final int TC = 0;
    /** Bytes to its translation attributes. */
    public static final int TA = 16;
    /** Bytes to its first-stage context. */
    public static final int FSC = 24;
    /** log2 of the bytes of a context. */
    public static final int BASE_SHIFT = 5;
    /** log2 of the bytes of a context with the words for MSI tables. */
    public static final int EXTENDED_SHIFT = 6;

    /** The first stage passes addresses unchanged. */
    public static final long BARE = 0;

    private static final int PAGE_SHIFT = 12;
    private static final int MODE_OF_3_LEVELS = 8;

    private DeviceContext() {}

    /** Makes an entry that leads to a table. */
    public static long table(long physicalAddress) {
        return V.mask() | PPN.of(physicalAddress >>> PAGE_SHIFT);
    }

    /** Returns the table that a valid entry leads to. */
    public static long tableOf(long entry) {
        return PPN.get(entry) << PAGE_SHIFT;
    }

    /**
     * Makes the first-stage context of a table.
     *
     * @param levels 3 to 5
     */
    public static long firstStage(long root, int levels) {
        return FSC_MODE.of(MODE_OF_3_LEVELS + levels - 3) | FSC_PPN.of(root >>> PAGE_SHIFT);
    }
}
