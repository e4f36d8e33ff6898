// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.fmt;

import static org.iommu4j.bits.BitField.absolute;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/** Root entry, VT-d 9.1: one per bus, 256 in the root table's frame. */
public final class RootEntry {
    /** Bytes of an entry. */
    public static final int SIZE = 16;

    /** Present. */
    public static final BitField P = absolute(0, 0, "P");
    /** Context table pointer, in place. */
    public static final BitField CTP = absolute(63, 12, "CTP");

    /** The fields, lowest first. */
    public static final Layout LAYOUT = Layout.of("root entry, VT-d 9.1", 2, P, CTP);

    private RootEntry() {}

    /** Returns the low word of a present entry; the high word is reserved and 0. */
    public static long low(long contextTable) {
        return P.of(1) | CTP.getInPlace(contextTable);
    }
}
