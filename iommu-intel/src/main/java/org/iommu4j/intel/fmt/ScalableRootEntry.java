// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.fmt;

import static org.iommu4j.bits.BitField.absolute;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * Scalable-mode root entry, VT-d 9.2: one per bus, 256 in the root table's frame.
 *
 * <p>A bus has two context tables, since a scalable-mode context entry has twice the size of a legacy one.
 */
public final class ScalableRootEntry {
    /** Bytes of an entry. */
    public static final int SIZE = 16;

    /** The lower context table is present: devices 0 to 15. */
    public static final BitField LP = absolute(0, 0, "LP");
    /** Lower context table pointer, in place. */
    public static final BitField LCTP = absolute(63, 12, "LCTP");
    /** The upper context table is present: devices 16 to 31. */
    public static final BitField UP = absolute(64, 64, "UP");
    /** Upper context table pointer, in place. */
    public static final BitField UCTP = absolute(127, 76, "UCTP");

    /** The fields, lowest first. */
    public static final Layout LAYOUT = Layout.of("scalable-mode root entry, VT-d 9.2", 2, LP, LCTP, UP, UCTP);

    private ScalableRootEntry() {}

    /** Returns either half of an entry whose context table is present: both have the same bits. */
    public static long half(long contextTable) {
        return LP.of(1) | LCTP.getInPlace(contextTable);
    }
}
