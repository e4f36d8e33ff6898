// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.List;
import org.iommu4j.vfio.type1.IovaRange;

/**
 * What can be mapped in an IOAS now. Source: {@code struct iommu_ioas_iova_ranges}.
 *
 * @param needed how many ranges there are
 * @param alignment of IOVA and length, a power of two
 * @param ranges the lowest ranges, as many as the caller has room for
 */
public record IoasRanges(int needed, long alignment, List<IovaRange> ranges) {
    /** Copies the list. */
    public IoasRanges {
        ranges = List.copyOf(ranges);
    }

    /** Returns whether all ranges fit. Linux returns EMSGSIZE otherwise, and writes the same. */
    public boolean fits() {
        return ranges.size() == needed;
    }
}
