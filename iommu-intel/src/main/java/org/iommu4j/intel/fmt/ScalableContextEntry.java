// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.fmt;

import static org.iommu4j.bits.BitField.absolute;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/** Scalable-mode context entry, VT-d 9.4: one per device and function, 128 in each of a bus's two context tables. */
public final class ScalableContextEntry {
    /** Bytes of an entry. */
    public static final int SIZE = 32;

    /** Present. */
    public static final BitField P = absolute(0, 0, "P");
    /** Fault processing disable. */
    public static final BitField FPD = absolute(1, 1, "FPD");
    /** Device TLB enable: translation requests are answered. */
    public static final BitField DTE = absolute(2, 2, "DTE");
    /** PASID enable: requests with PASID are translated. */
    public static final BitField PASIDE = absolute(3, 3, "PASIDE");
    /** Page request enable. */
    public static final BitField PRE = absolute(4, 4, "PRE");
    /** PASID directory size: 2 to its power plus 7 entries. */
    public static final BitField PDTS = absolute(11, 9, "PDTS");
    /** PASID directory pointer, in place. */
    public static final BitField PASIDDIRPTR = absolute(63, 12, "PASIDDIRPTR");
    /** The PASID of requests without PASID. */
    public static final BitField RID_PASID = absolute(83, 64, "RID_PASID");
    /** Requests without PASID are privileged. */
    public static final BitField RID_PRIV = absolute(84, 84, "RID_PRIV");

    /** The fields, lowest first. */
    public static final Layout LAYOUT = Layout.of(
            "scalable-mode context entry, VT-d 9.4",
            4,
            P,
            FPD,
            DTE,
            PASIDE,
            PRE,
            PDTS,
            PASIDDIRPTR,
            RID_PASID,
            RID_PRIV);

    private ScalableContextEntry() {}

    /**
     * Returns the lowest word of a present entry; the second word is RID_PASID, which is 0, the others are reserved.
     *
     * @param directory physical address of the PASID directory
     * @param directoryEntries a power of two from 128 to 16384
     * @param deviceTlb whether translation requests are answered
     * @param pasids whether requests with PASID are translated
     * @param pageRequests whether the device may ask for pages
     */
    public static long low(
            long directory, int directoryEntries, boolean deviceTlb, boolean pasids, boolean pageRequests) {
        return P.of(1)
                | (deviceTlb ? DTE.mask() : 0)
                | (pasids ? PASIDE.mask() : 0)
                | (pageRequests ? PRE.mask() : 0)
                | PDTS.of(Integer.numberOfTrailingZeros(directoryEntries) - 7)
                | PASIDDIRPTR.getInPlace(directory);
    }
}
