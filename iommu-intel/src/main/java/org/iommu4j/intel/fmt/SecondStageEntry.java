// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.fmt;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * Second-stage paging entry, VT-d 9.8 and 3.7: 512 in a table's frame.
 *
 * <p>Levels: SS-PTE 1 (4 KiB), SS-PDE 2 (2 MiB), SS-PDPE 3 (1 GiB), SS-PML4E 4, SS-PML5E 5. There is no present bit: an
 * entry is present when R or W is set.
 */
public final class SecondStageEntry {
    /** Read. */
    public static final BitField R = bit(0, "R");
    /** Write. */
    public static final BitField W = bit(1, "W");
    /** Execute, ignored in legacy mode. */
    public static final BitField X = bit(2, "X");
    /** Memory type, ignored in legacy mode. */
    public static final BitField EMT = bits(5, 3, "EMT");
    /** Ignore PAT, ignored in legacy mode. */
    public static final BitField IPAT = bit(6, "IPAT");
    /** Page size: a leaf above level 1. */
    public static final BitField PS = bit(7, "PS");
    /** Accessed. */
    public static final BitField A = bit(8, "A");
    /** Dirty. */
    public static final BitField D = bit(9, "D");
    /** Ignored by hardware, available to software. */
    public static final BitField IGN10 = bit(10, "IGN10");
    /** Snoop: no-snoop of the request is overridden. Leaves only; reserved when ECAP.SC is 0. */
    public static final BitField SNP = bit(11, "SNP");
    /** Address of the page or of the next table, in place. */
    public static final BitField ADDR = bits(51, 12, "ADDR");
    /** Ignored by hardware, available to software. */
    public static final BitField IGN = bits(61, 52, "IGN");
    /** Transient mapping, ignored without device TLBs. */
    public static final BitField TM = bit(62, "TM");
    /** Ignored by hardware. */
    public static final BitField IGN63 = bit(63, "IGN63");

    /** The fields, lowest first. */
    public static final Layout LAYOUT =
            Layout.of("second-stage entry, VT-d 9.8", R, W, X, EMT, IPAT, PS, A, D, IGN10, SNP, ADDR, IGN, TM, IGN63);

    private SecondStageEntry() {}
}
