// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.fmt;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/** PASID directory entry, VT-d 9.5: each leads to a table of 64 PASID entries. */
public final class PasidDirectoryEntry {
    /** Bytes of an entry. */
    public static final int SIZE = 8;

    /** Present. */
    public static final BitField P = bit(0, "P");
    /** Fault processing disable. */
    public static final BitField FPD = bit(1, "FPD");
    /** PASID table pointer, in place. */
    public static final BitField SMPTBLPTR = bits(63, 12, "SMPTBLPTR");

    /** The fields, lowest first. */
    public static final Layout LAYOUT = Layout.of("PASID directory entry, VT-d 9.5", P, FPD, SMPTBLPTR);

    private PasidDirectoryEntry() {}

    /** Returns a present entry. */
    public static long of(long pasidTable) {
        return P.of(1) | SMPTBLPTR.getInPlace(pasidTable);
    }
}
