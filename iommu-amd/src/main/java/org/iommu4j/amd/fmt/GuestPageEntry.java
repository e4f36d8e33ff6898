// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.fmt;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * An entry of a guest (v2) page table, 48882 section 2.2.6.1: as in the processor's long mode.
 *
 * <p>A leaf is an entry of level 1, or one of level 2 or 3 with {@link #PS}. No bit forces coherence: there is no
 * counterpart of {@link HostPageEntry#FC}.
 */
public final class GuestPageEntry {
    /** Present. */
    public static final BitField P = bit(0, "P");
    /** Writable; reading needs {@link #P} only. */
    public static final BitField RW = bit(1, "R/W");
    /** For user privilege, which every request without a PASID has. */
    public static final BitField US = bit(2, "U/S");
    /** Write-through. */
    public static final BitField PWT = bit(3, "PWT");
    /** Cache disable. */
    public static final BitField PCD = bit(4, "PCD");
    /** Accessed, set by hardware unless it is already set. */
    public static final BitField A = bit(5, "A");
    /** Dirty, set by hardware on a write unless it is already set. */
    public static final BitField D = bit(6, "D");
    /** A leaf, above level 1. */
    public static final BitField PS = bit(7, "PS");
    /** Global. */
    public static final BitField G = bit(8, "G");
    /** Physical address bits of the page or of the next table. */
    public static final BitField ADDRESS = bits(51, 12, "Address");
    /** Not executable. */
    public static final BitField NX = bit(63, "NX");

    /** The entry. */
    public static final Layout LAYOUT =
            Layout.of("GuestPTE (48882 2.2.6.1)", P, RW, US, PWT, PCD, A, D, PS, G, ADDRESS, NX);

    private GuestPageEntry() {}

    /**
     * Makes a leaf that hardware never has to write: accessed, and dirty where it may be written.
     *
     * @param physicalAddress aligned to the page
     * @param sizeShift log2 of the page's size: 12, 21 or 30
     */
    public static long leaf(long physicalAddress, int sizeShift, boolean writable) {
        return P.mask()
                | US.mask()
                | A.mask()
                | (writable ? RW.mask() | D.mask() : 0)
                | (sizeShift > HostPageEntry.MIN_SHIFT ? PS.mask() : 0)
                | physicalAddress;
    }

    /** Makes an entry that points to a table; it grants all rights, leaves decide. */
    public static long table(long physicalAddress) {
        return P.mask() | RW.mask() | US.mask() | A.mask() | physicalAddress;
    }
}
