// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.fmt;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * An entry of a GCR3 table, 48882 section 2.2.6.3: the root of a PASID's page table, or the next GCR3 table.
 *
 * <p>Nine bits of the PASID select an entry at each level.
 */
public final class Gcr3Entry {
    /** Valid. */
    public static final BitField V = bit(0, "V");
    /** Write-through. */
    public static final BitField PWT = bit(3, "PWT");
    /** Cache disable. */
    public static final BitField PCD = bit(4, "PCD");
    /** Physical address bits of the page table's root, or of the next GCR3 table. */
    public static final BitField ADDRESS = bits(51, 12, "Address");

    /** The entry. */
    public static final Layout LAYOUT = Layout.of("GCR3 (48882 2.2.6.3)", V, PWT, PCD, ADDRESS);

    /** PASID bits that select an entry at one level. */
    public static final int LEVEL_BITS = 9;

    private Gcr3Entry() {}

    /** Makes an entry that points to a root or a table. */
    public static long pointer(long physicalAddress) {
        return V.mask() | physicalAddress;
    }
}
