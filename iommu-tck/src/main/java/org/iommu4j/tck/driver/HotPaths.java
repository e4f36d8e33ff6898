// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.support.Allocations.assertNone;

import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.tck.Bench;

/** What a driver does for every DMA, which takes nothing from the heap. */
final class HotPaths {
    private static final int OPERATIONS = 400;

    private HotPaths() {}

    static void assertAllocateNothing(Bench bench, IommuDomain domain) {
        long page = bench.granule();
        long iova = bench.iova() + 8 * page;
        long span = bench.tableSpan();
        IotlbGather gather = new IotlbGather();
        // The table itself is there and stays: only part of what it covers is mapped and unmapped.
        bench.map(domain, bench.iova(), bench.scratch());
        assertNone("mapping and unmapping a page", OPERATIONS, () -> {
            domain.map(iova, bench.scratch(), page, 1, READ_WRITE);
            domain.syncMap(iova, page);
            domain.unmap(iova, page, gather);
            domain.sync(gather);
        });
        assertNone("mapping and unmapping 40 pages", OPERATIONS / 10, () -> {
            domain.map(iova, bench.scratch(), page, 40, READ_WRITE);
            domain.syncMap(iova, 40 * page);
            domain.unmap(iova, 40 * page, gather);
            domain.sync(gather);
        });
        assertNone("mapping and unmapping pages with their table", 4, () -> {
            domain.map(iova + span, bench.scratch(), page, 12, READ_WRITE);
            domain.syncMap(iova + span, 12 * page);
            domain.unmap(iova + span, 12 * page, gather);
            domain.sync(gather);
        });
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            if (size > span && spot.iova() == bench.iova()) {
                assertNone("mapping and unmapping a page of 0x" + Long.toHexString(size), 4, () -> {
                    domain.map(spot.iova() + size, 0, size, 1, READ_WRITE);
                    domain.unmap(spot.iova() + size, size, gather);
                    domain.sync(gather);
                });
            }
        }
        long[] sum = new long[1];
        assertNone("translating", OPERATIONS, () -> {
            sum[0] += domain.translate(bench.iova() + 8);
            sum[0] += domain.translate(iova);
        });
        assertThat(sum[0]).as("what was translated").isNotZero();
    }
}
