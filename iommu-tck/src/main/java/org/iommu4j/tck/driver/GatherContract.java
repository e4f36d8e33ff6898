// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.driver.Mapped.attachSecond;
import static org.iommu4j.tck.driver.PageSizes.mapAlike;
import static org.iommu4j.tck.driver.PageSizes.sizes;

import java.util.Set;
import java.util.TreeSet;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link IommuDomain#unmap}: what it adds to the gather. */
public abstract class GatherContract {
    /** Made by JUnit. */
    protected GatherContract() {}

    @Test
    @Promise("unmap-6")
    void theGatherGetsWhatWasUnmappedAndNoMore(Bench bench) {
        IommuDomain domain = bench.domain();
        long page = bench.granule();
        for (long size : sizes(bench, domain)) {
            Spot spot = Spot.of(bench, domain, size);
            for (int count : new int[] {1, 2, 5}) {
                mapAlike(bench, domain, size, count);
                IotlbGather gather = new IotlbGather();
                // The hole behind the last page is not in it.
                assertThat(bench.unmap(domain, spot.iova(), 8 * size, gather)).isEqualTo(count * size);
                assertThat(gather.start()).isEqualTo(spot.iova());
                assertThat(gather.end()).isEqualTo(spot.iova() + count * size - 1);
                bench.sync(domain, gather);
            }
        }
        bench.map(domain, bench.iova(), bench.scratch(), page, 12, READ_WRITE);
        IotlbGather gather = new IotlbGather();
        assertThat(bench.unmap(domain, bench.iova() + 12 * page, 4 * page, gather))
                .isZero();
        assertThat(bench.unmap(domain, bench.iova() - page, 4 * page, gather)).isZero();
        assertThat(gather.isEmpty()).as("a gather of nothing is empty").isTrue();
        assertThat(bench.unmap(domain, bench.iova() + 4 * page, page, gather)).isEqualTo(page);
        assertThat(gather.start()).isEqualTo(bench.iova() + 4 * page);
        assertThat(gather.end()).isEqualTo(bench.iova() + 5 * page - 1);
        // What is unmapped beside it is added, on either side.
        assertThat(bench.unmap(domain, bench.iova() + 5 * page, 2 * page, gather))
                .isEqualTo(2 * page);
        assertThat(gather.start()).isEqualTo(bench.iova() + 4 * page);
        assertThat(gather.end()).isEqualTo(bench.iova() + 7 * page - 1);
        assertThat(bench.unmap(domain, bench.iova() + 3 * page, page, gather)).isEqualTo(page);
        assertThat(gather.start()).isEqualTo(bench.iova() + 3 * page);
        assertThat(gather.end()).isEqualTo(bench.iova() + 7 * page - 1);
        bench.sync(domain, gather);
    }

    @Test
    @Promise({"unmap-7", "sync-1", "unmap-6"})
    void tablesThatBecomeEmptyRideOnTheGatherAndComeBackBySync(Bench bench) {
        SpoiltFrames.onBoth(bench, GatherContract::assertTablesRideOnTheGather);
    }

    private static void assertTablesRideOnTheGather(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        long page = bench.granule();
        long span = bench.tableSpan();
        long target = bench.scratch() & -span;
        long at = bench.scratch() - target;
        bench.map(domain, bench.iova(), bench.scratch());
        for (int tables = 1; tables <= 3; tables++) {
            long before = bench.framesInUse();
            long iova = bench.iova() + 2 * span;
            for (int i = 0; i < tables; i++) {
                bench.map(domain, iova + i * span, target, page, span / page, READ_WRITE);
                bench.assertReaches(iova + i * span + at, bench.scratch());
                bench.assertReaches(other, iova + i * span + at, bench.scratch());
            }
            long mapped = bench.framesInUse();
            IotlbGather gather = new IotlbGather();

            assertThat(bench.unmap(domain, iova, tables * span, gather)).isEqualTo(tables * span);
            assertThat(gather.start()).isEqualTo(iova);
            assertThat(gather.end()).isEqualTo(iova + tables * span - 1);
            assertThat(bench.framesInUse()).as("frames in use before sync").isEqualTo(mapped);
            assertThat(gather.totalFrames()).as("frames that wait").isEqualTo(mapped - before);
            // Other maps do not get them either.
            bench.map(domain, bench.iova() + 7 * span, bench.scratch());
            long more = bench.framesInUse() - mapped;

            bench.sync(domain, gather);
            assertThat(bench.framesInUse()).as("frames in use after sync").isEqualTo(before + more);
            assertThat(gather.isEmpty()).isTrue();
            for (int i = tables - 1; i >= 0; i--) {
                bench.assertBlocked(iova + i * span + at);
                bench.assertBlocked(other, iova + i * span + at);
                bench.assertBlocked(iova + i * span);
            }
            // The unit must not walk through the freed tables any more.
            bench.map(domain, iova, bench.scratch());
            bench.assertReaches(iova, bench.scratch());
            bench.assertReaches(other, iova, bench.scratch());
            bench.assertBlocked(iova + at + page);
            bench.assertBlocked(other, iova + at + page);
            // A table goes when all that it covers is unmapped at once.
            bench.map(domain, iova + page, target + page, page, span / page - 1, READ_WRITE);
            assertThat(bench.unmap(domain, iova, span)).isEqualTo(span);
            bench.map(domain, bench.iova() + 7 * span + page, target, page, span / page - 1, READ_WRITE);
            assertThat(bench.unmap(domain, bench.iova() + 7 * span, span)).isEqualTo(span);
        }
        bench.assertReaches(bench.iova(), bench.scratch());
    }

    @Test
    @Promise({"unmap-8", "unmap-7"})
    void moreEmptyTablesThanAGatherHoldsAreAllFreedAndForgotten(Bench bench) {
        SpoiltFrames.onBoth(bench, GatherContract::assertMoreTablesThanAGatherHoldsAreFreed);
    }

    private static void assertMoreTablesThanAGatherHoldsAreFreed(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        long span = bench.tableSpan();
        bench.map(domain, bench.iova(), bench.scratch());
        long base = bench.iova() + span;
        int tables = (int) Math.min(IotlbGather.MAX_FRAMES + 6, bench.room() / span - 1);
        long target = bench.scratch() & -span;
        long at = bench.scratch() - target;
        long before = bench.framesInUse();
        for (int i = 0; i < tables; i++) {
            bench.map(domain, base + i * span, target, page, span / page, READ_WRITE);
            bench.assertReaches(base + i * span + at, bench.scratch());
        }
        long mapped = bench.framesInUse();
        IotlbGather gather = new IotlbGather();
        assertThat(bench.unmap(domain, base, tables * span, gather)).isEqualTo(tables * span);
        assertThat(bench.framesInUse())
                .as("frames in use: what did not fit on the gather is freed, the rest waits")
                .isEqualTo(mapped - before > IotlbGather.MAX_FRAMES ? before + gather.totalFrames() : mapped);
        bench.sync(domain, gather);

        assertThat(gather.isEmpty()).isTrue();
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(before);
        for (int i = 0; i < tables; i++) {
            bench.assertBlocked(base + i * span + at);
            assertThat(domain.translate(base + i * span)).isEqualTo(IommuDomain.UNMAPPED);
        }
        bench.assertReaches(bench.iova(), bench.scratch());
    }

    @Test
    @Promise("unmap-8")
    void aGatherThatComesFullIsSyncedByTheDriver(Bench bench) {
        SpoiltFrames.onBoth(bench, GatherContract::assertAFullGatherIsSynced);
    }

    private static void assertAFullGatherIsSynced(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        long span = bench.tableSpan();
        long target = bench.scratch() & -span;
        long at = bench.scratch() - target;
        bench.map(domain, bench.iova(), bench.scratch());
        long base = bench.iova() + span;
        long before = bench.framesInUse();
        IotlbGather gather = new IotlbGather();
        int tables = (int) Math.min(IotlbGather.MAX_FRAMES + 2, bench.room() / span - 1);
        // Unmapped one by one into one gather, none of which its user syncs.
        for (int i = 0; i < tables; i++) {
            long iova = base + i * span;
            bench.map(domain, iova, target, page, span / page, READ_WRITE);
            bench.assertReaches(iova + at, bench.scratch());
            assertThat(bench.unmap(domain, iova, span, gather)).isEqualTo(span);
            assertThat(gather.frameCount()).isLessThanOrEqualTo(IotlbGather.MAX_FRAMES);
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(before + gather.totalFrames());
        }
        bench.sync(domain, gather);
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(before);
        for (int i = 0; i < tables; i++) {
            bench.assertBlocked(base + i * span + at);
        }
    }

    @Test
    @Promise({"unmap-9", "unmap-1"})
    void ofLongRunsNoPageIsLeft(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        long page = bench.granule();
        long span = bench.tableSpan();
        long target = bench.scratch() & -span;
        for (long[] run : new long[][] {
            {0, span}, {span - 3 * page, 3 * page}, {page, 2 * span - page}, {page, span + page}, {3 * page, 120 * page}
        }) {
            long first = bench.iova() + run[0];
            bench.map(domain, first, target, page, run[1] / page, READ_WRITE);
            assertThat(bench.unmap(domain, first, run[1])).isEqualTo(run[1]);
            for (long at = 0; at < run[1]; at += page) {
                assertThat(domain.translate(first + at)).as("0x%x", first + at).isEqualTo(IommuDomain.UNMAPPED);
            }
            for (long at : new long[] {0, run[1] - page}) {
                bench.assertBlocked(first + at);
                bench.assertBlocked(other, first + at);
            }
        }
    }

    @Test
    @Promise("unmap-5")
    void whatIsAPageATableOrALargePageAwayStays(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        Set<Long> distances = new TreeSet<>(bench.pageSizes(domain));
        distances.add(bench.tableSpan());
        for (long distance : distances) {
            if (distance < bench.room() / 4) {
                long middle = bench.iova() + distance;
                bench.map(domain, middle - distance, bench.scratch());
                bench.map(domain, middle, bench.scratch() + page);
                bench.map(domain, middle + distance, bench.scratch() + 2 * page);
                assertThat(bench.unmap(domain, middle, page)).isEqualTo(page);
                bench.assertReaches(middle - distance, bench.scratch());
                bench.assertReaches(middle + distance, bench.scratch() + 2 * page);
                bench.unmap(domain, middle - distance, page);
                bench.unmap(domain, middle + distance, page);
            }
        }
        for (long size : sizes(bench, domain)) {
            Spot spot = Spot.of(bench, domain, size);
            mapAlike(bench, domain, size, 3);
            assertThat(bench.unmap(domain, spot.iova() + size, page)).isEqualTo(size);
            assertThat(domain.translate(spot.iova())).isEqualTo(spot.physicalAddress());
            assertThat(domain.translate(spot.iova() + 2 * size)).isEqualTo(spot.physicalAddress());
            bench.unmap(domain, spot.iova(), size);
            bench.unmap(domain, spot.iova() + 2 * size, size);
        }
    }
}
