// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.fmt;

import static org.iommu4j.bits.BitField.absolute;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/** Context entry, VT-d 9.3: one per device and function, 256 in a bus's context table. */
public final class ContextEntry {
    /** Bytes of an entry. */
    public static final int SIZE = 16;

    /** Translation type: through second-stage tables, requests with addresses already translated are refused. */
    public static final long TT_MULTI_LEVEL = 0;
    /** Translation type: through second-stage tables, translation requests of device TLBs are answered. */
    public static final long TT_DEVICE_TLB = 1;
    /** Translation type: pass-through. */
    public static final long TT_PASS_THROUGH = 2;

    /** Present. */
    public static final BitField P = absolute(0, 0, "P");
    /** Fault processing disable. */
    public static final BitField FPD = absolute(1, 1, "FPD");
    /** Translation type. */
    public static final BitField TT = absolute(3, 2, "TT");
    /** Second-stage page-table pointer, in place; ignored for pass-through. */
    public static final BitField SSPTPTR = absolute(63, 12, "SSPTPTR");
    /** Address width: levels less 2. */
    public static final BitField AW = absolute(66, 64, "AW");
    /** Ignored by hardware. */
    public static final BitField IGN = absolute(70, 67, "IGN");
    /** Domain id, the tag of cached entries. */
    public static final BitField DID = absolute(87, 72, "DID");

    /** The fields, lowest first. */
    public static final Layout LAYOUT = Layout.of("context entry, VT-d 9.3", 2, P, FPD, TT, SSPTPTR, AW, IGN, DID);

    private ContextEntry() {}

    /** Returns the low word of a present entry. */
    public static long low(long translationType, long pageTable) {
        return P.of(1) | TT.of(translationType) | SSPTPTR.getInPlace(pageTable);
    }

    /** Returns the high word. */
    public static long high(int levels, int domainId) {
        return AW.of(levels - 2) | DID.of(domainId);
    }
}
