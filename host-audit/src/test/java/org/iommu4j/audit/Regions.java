// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import org.iommu4j.ReservedRegion;

/** Reserved regions for made-up devices. */
public final class Regions {
    public static final ReservedRegion DIRECT =
            new ReservedRegion(0x7a00_0000L, 0x7aff_ffffL, ReservedRegion.Type.DIRECT, 3);
    public static final ReservedRegion RELAXABLE =
            new ReservedRegion(0x7b00_0000L, 0x7bff_ffffL, ReservedRegion.Type.DIRECT_RELAXABLE, 3);
    public static final ReservedRegion MSI = new ReservedRegion(0xfee0_0000L, 0xfeef_ffffL, ReservedRegion.Type.MSI, 2);

    private Regions() {}
}
