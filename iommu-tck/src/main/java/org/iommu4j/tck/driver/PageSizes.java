// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.iommu4j.tck.Bench.READ_WRITE;

import java.util.List;
import org.iommu4j.IommuDomain;
import org.iommu4j.tck.Bench;

/** Pages of every size that tests unmap. */
final class PageSizes {
    /** Sizes above are not tried in numbers: a few of them would leave small apertures. */
    static final long LARGEST = 1L << 30;

    private PageSizes() {}

    /** Returns the sizes of which several pages fit behind the bench's IOVA. */
    static List<Long> sizes(Bench bench, IommuDomain domain) {
        return bench.pageSizes(domain).stream()
                .filter(size -> size <= LARGEST && Spot.of(bench, domain, size).iova() == bench.iova())
                .filter(size -> size == bench.granule() || bench.room() / 24 > size)
                .toList();
    }

    /** Maps pages of a size one by one, each to the same place. */
    static void mapAlike(Bench bench, IommuDomain domain, long size, int count) {
        Spot spot = Spot.of(bench, domain, size);
        for (int i = 0; i < count; i++) {
            bench.map(domain, spot.iova() + i * size, spot.physicalAddress(), size, 1, READ_WRITE);
        }
    }
}
