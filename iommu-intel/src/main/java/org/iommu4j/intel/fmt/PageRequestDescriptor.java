// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.fmt;

import static org.iommu4j.bits.BitField.absolute;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/** An entry of the page request queue, VT-d 7.4.1.1: 256 bits; the upper 128 hold nothing. */
public final class PageRequestDescriptor {
    /** Bytes of an entry. */
    public static final int SIZE = 32;

    /** Type of the entry; {@link #PAGE_REQUEST}. */
    public static final BitField TYPE = absolute(7, 0, "TYPE");
    /** A PASID was present. */
    public static final BitField PP = absolute(8, 8, "PP");
    /** Requester id. */
    public static final BitField RID = absolute(31, 16, "RID");
    /** PASID. */
    public static final BitField PASID = absolute(51, 32, "PASID");
    /** Execution is requested. */
    public static final BitField EXE = absolute(52, 52, "EXR");
    /** Privilege is requested. */
    public static final BitField PRIV = absolute(53, 53, "PMR");
    /** Read access is requested. */
    public static final BitField RDR = absolute(64, 64, "RDR");
    /** Write access is requested. */
    public static final BitField WRR = absolute(65, 65, "WRR");
    /** Last page in group. */
    public static final BitField LPIG = absolute(66, 66, "LPIG");
    /** Page request group index. */
    public static final BitField PRGI = absolute(75, 67, "PRGI");
    /** The page, in place. */
    public static final BitField ADDR = absolute(127, 76, "ADDR");

    /** {@link #TYPE}: a page request. */
    public static final int PAGE_REQUEST = 1;

    /** The fields, lowest first. */
    public static final Layout LAYOUT =
            Layout.of("page request, VT-d 7.4.1.1", 2, TYPE, PP, RID, PASID, EXE, PRIV, RDR, WRR, LPIG, PRGI, ADDR);

    private PageRequestDescriptor() {}
}
