// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.fmt;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * First-stage paging entry, VT-d 9.7 and 3.6: 512 in a table's frame, the format of the processor's own tables.
 *
 * <p>Levels: FS-PTE 1 (4 KiB), FS-PDE 2 (2 MiB), FS-PDPE 3 (1 GiB), FS-PML4E 4, FS-PML5E 5. There is no snoop bit:
 * PGSNP of the PASID entry decides about no-snoop for the whole first stage.
 */
public final class FirstStageEntry {
    /** Present. */
    public static final BitField P = bit(0, "P");
    /** Writing is granted; a present entry grants reading. */
    public static final BitField RW = bit(1, "R/W");
    /** User: requests without privilege may use it, such as all of the kernel's DMA. */
    public static final BitField US = bit(2, "U/S");
    /** Page-level write-through. */
    public static final BitField PWT = bit(3, "PWT");
    /** Page-level cache disable. */
    public static final BitField PCD = bit(4, "PCD");
    /** Accessed. */
    public static final BitField A = bit(5, "A");
    /** Dirty. */
    public static final BitField D = bit(6, "D");
    /** Page size: a leaf above level 1. */
    public static final BitField PS = bit(7, "PS");
    /** Global. */
    public static final BitField G = bit(8, "G");
    /** Ignored by hardware, available to software. */
    public static final BitField IGN9 = bit(9, "IGN9");
    /** Extended accessed, ignored unless the PASID entry has EAFE set. */
    public static final BitField EA = bit(10, "EA");
    /** Ignored by hardware. */
    public static final BitField IGN11 = bit(11, "IGN11");
    /** Address of the page or of the next table, in place. */
    public static final BitField ADDR = bits(51, 12, "ADDR");
    /** Ignored by hardware. */
    public static final BitField IGN = bits(62, 52, "IGN");
    /** Execute disable; reserved unless the PASID entry has NXE set. */
    public static final BitField XD = bit(63, "XD");

    /** The fields, lowest first. */
    public static final Layout LAYOUT =
            Layout.of("first-stage entry, VT-d 9.7", P, RW, US, PWT, PCD, A, D, PS, G, IGN9, EA, IGN11, ADDR, IGN, XD);

    private FirstStageEntry() {}
}
