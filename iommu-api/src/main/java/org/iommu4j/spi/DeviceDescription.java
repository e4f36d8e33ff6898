// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.List;
import org.iommu4j.ReservedRegion;
import org.iommu4j.platform.PciAddress;
import org.jspecify.annotations.Nullable;

/**
 * A function as its vendor's tables see it.
 *
 * @param address where it is
 * @param unit the id of the unit that translates for it, or null when none does
 * @param enforceCacheCoherency whether a domain of this device can block no-snoop
 * @param reservedRegions its reserved regions, sorted by start
 */
public record DeviceDescription(
        PciAddress address, @Nullable String unit, Answer enforceCacheCoherency, List<ReservedRegion> reservedRegions) {
    /** Copies the list. */
    public DeviceDescription {
        reservedRegions = List.copyOf(reservedRegions);
    }
}
