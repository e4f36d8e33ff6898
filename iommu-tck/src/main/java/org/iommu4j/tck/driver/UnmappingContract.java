// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.NOT_COMPLETED;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.MappingContract.attachSecond;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link IommuDomain#unmap} and {@link IommuDomain#sync}. */
public abstract class UnmappingContract {
    /** Sizes above are not tried in numbers: a few of them would leave small apertures. */
    private static final long LARGEST = 1L << 30;

    /** Made by JUnit. */
    protected UnmappingContract() {}

    /** Returns the sizes of which several pages fit behind the bench's IOVA. */
    private static List<Long> sizes(Bench bench, IommuDomain domain) {
        return bench.pageSizes(domain).stream()
                .filter(size -> size <= LARGEST && Spot.of(bench, domain, size).iova() == bench.iova())
                .filter(size -> size == bench.granule() || bench.room() / 24 > size)
                .toList();
    }

    /** Maps pages of a size one by one, each to the same place. */
    private static void mapAlike(Bench bench, IommuDomain domain, long size, int count) {
        Spot spot = Spot.of(bench, domain, size);
        for (int i = 0; i < count; i++) {
            bench.map(domain, spot.iova() + i * size, spot.physicalAddress(), size, 1, READ_WRITE);
        }
    }

    // How far.

    @Test
    @Promise({"unmap-1", "unmap-9"})
    void unmappingGoesUpToTheEndOrToTheFirstHole(Bench bench) {
        IommuDomain domain = bench.attached();
        for (long size : sizes(bench, domain)) {
            Spot spot = Spot.of(bench, domain, size);
            long first = spot.iova() + spot.offset();
            // Pages 0 to 4 and 6; then 0 to 6 without a hole.
            for (int hole : new int[] {5, -1}) {
                mapAlike(bench, domain, size, 7);
                if (hole > 0) {
                    assertThat(bench.unmap(domain, spot.iova() + hole * size, size))
                            .isEqualTo(size);
                }
                for (int i = 0; i < 7; i++) {
                    if (i != hole) {
                        bench.assertReaches(first + i * size, bench.scratch());
                    }
                }
                assertThat(bench.unmap(domain, spot.iova() + size, 2 * size)).isEqualTo(2 * size);
                assertThat(bench.unmap(domain, spot.iova(), 7 * size)).isEqualTo(size);
                assertThat(bench.unmap(domain, spot.iova() + 3 * size, 4 * size))
                        .isEqualTo(hole > 0 ? 2 * size : 4 * size);
                for (int i = 0; i < 7; i++) {
                    boolean left = hole > 0 && i == 6;
                    assertThat(domain.translate(spot.iova() + i * size) != IommuDomain.UNMAPPED)
                            .as("page %d is left", i)
                            .isEqualTo(left);
                    if (left) {
                        bench.assertReaches(first + i * size, bench.scratch());
                    } else {
                        bench.assertBlocked(first + i * size);
                    }
                }
                if (hole > 0) {
                    assertThat(bench.unmap(domain, spot.iova() + 6 * size, 100 * size))
                            .isEqualTo(size);
                }
            }
        }
    }

    @Test
    @Promise({"unmap-1", "unmap-9"})
    void oneUnmapGoesOverTablesAndPageSizesUpToTheFirstHole(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        long span = bench.tableSpan();
        long iova = bench.iova() + span - 3 * page;
        // Three pages, a table full of pages or one large page, and two more pages; then a hole.
        bench.map(domain, iova, bench.scratch(), page, 3, READ_WRITE);
        boolean large = (domain.pageSizes() & span) != 0;
        bench.map(
                domain,
                iova + 3 * page,
                bench.scratch() & -span,
                large ? span : page,
                large ? 1 : span / page,
                READ_WRITE);
        bench.map(domain, iova + 3 * page + span, bench.scratch(), page, 2, READ_WRITE);
        bench.map(domain, iova + 6 * page + span, bench.scratch());
        long[] looked = {0, page, 3 * page + (bench.scratch() & (span - 1)), 3 * page + span, 4 * page + span};
        for (long at : looked) {
            assertThat(bench.requester().write(iova + at, 1, false)).isTrue();
        }
        bench.assertReaches(iova + 6 * page + span, bench.scratch());

        assertThat(bench.unmap(domain, iova, 2 * span)).isEqualTo(5 * page + span);

        for (int i = looked.length - 1; i >= 0; i--) {
            bench.assertBlocked(iova + looked[i]);
            assertThat(domain.translate(iova + looked[i])).isEqualTo(IommuDomain.UNMAPPED);
        }
        assertThat(domain.translate(iova + 5 * page + span - 1)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(domain.translate(iova + 2 * page + span)).isEqualTo(IommuDomain.UNMAPPED);
        bench.assertReaches(iova + 6 * page + span, bench.scratch());
    }

    @Test
    @Promise("unmap-9")
    void theResultIsExactlyWhatIsNoLongerMapped(Bench bench) {
        IommuDomain domain = bench.domain();
        long page = bench.granule();
        Random random = bench.random();
        IotlbGather gather = new IotlbGather();
        int pages = 96;
        boolean[] mapped = new boolean[pages];
        for (int step = 0; step < 300; step++) {
            int from = random.nextInt(pages);
            int count = 1 + random.nextInt(pages - from);
            if (random.nextBoolean()) {
                for (int i = from; i < from + Math.min(count, 9); i++) {
                    if (!mapped[i]) {
                        bench.map(domain, bench.iova() + i * page, bench.scratch() + i * page);
                        mapped[i] = true;
                    }
                }
                continue;
            }
            int next = from;
            while (next < from + count && mapped[next]) {
                mapped[next++] = false;
            }
            assertThat(bench.unmap(domain, bench.iova() + from * page, count * page, gather))
                    .isEqualTo((next - from) * page);
            domain.sync(gather);
            for (int i = 0; i < pages; i++) {
                assertThat(domain.translate(bench.iova() + i * page))
                        .isEqualTo(mapped[i] ? bench.scratch() + i * page : IommuDomain.UNMAPPED);
            }
        }
    }

    @Test
    @Promise("unmap-3")
    void fromInsideAPageThereIsNoProgress(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        IotlbGather gather = new IotlbGather();
        for (long size : sizes(bench, domain)) {
            if (size == page) {
                continue;
            }
            Spot spot = Spot.of(bench, domain, size);
            mapAlike(bench, domain, size, 2);
            for (long inside : new long[] {page, size / 2, size - page, size + page, 2 * size - page}) {
                for (long wanted : new long[] {page, size, 2 * size, size - inside % size}) {
                    assertThat(bench.unmap(domain, spot.iova() + inside, wanted, gather))
                            .isZero();
                }
                assertThat(gather.isEmpty()).isTrue();
                assertThat(domain.translate(spot.iova() + inside)).isEqualTo(spot.physicalAddress() + inside % size);
            }
            for (int i = 0; i < 2; i++) {
                assertThat(domain.translate(spot.iova() + i * size)).isEqualTo(spot.physicalAddress());
                bench.assertReaches(spot.iova() + i * size + spot.offset(), bench.scratch());
            }
            assertThat(bench.unmap(domain, spot.iova(), 2 * size)).isEqualTo(2 * size);
        }
        // Below the smallest page no address is the start of one.
        bench.map(domain, bench.iova(), bench.scratch(), page, 2, READ_WRITE);
        for (long inside : new long[] {8, page / 2, page - 8}) {
            assertThat(bench.unmap(domain, bench.iova() + inside, page, gather)).isZero();
        }
        bench.assertReaches(bench.iova(), bench.scratch());
        bench.assertReaches(bench.iova() + page, bench.scratch() + page);
    }

    @Test
    @Promise({"unmap-4", "unmap-6"})
    void aRangeThatEndsInsideAPageTakesAllOfIt(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        long page = bench.granule();
        for (long size : sizes(bench, domain)) {
            if (size == page) {
                continue;
            }
            Spot spot = Spot.of(bench, domain, size);
            long at = spot.iova() + spot.offset();
            for (int whole : new int[] {0, 1, 2}) {
                for (long part : new long[] {page, size / 2, size - page}) {
                    mapAlike(bench, domain, size, whole + 2);
                    for (int i = whole + 1; i >= 0; i--) {
                        bench.assertReaches(at + i * size, bench.scratch());
                        bench.assertReaches(other, at + i * size, bench.scratch());
                    }
                    IotlbGather gather = new IotlbGather();
                    assertThat(bench.unmap(domain, spot.iova(), whole * size + part, gather))
                            .isEqualTo((whole + 1) * size);
                    assertThat(gather.start()).isEqualTo(spot.iova());
                    assertThat(gather.end()).isEqualTo(spot.iova() + (whole + 1) * size - 1);
                    bench.sync(domain, gather);
                    for (int i = whole; i >= 0; i--) {
                        assertThat(domain.translate(spot.iova() + i * size)).isEqualTo(IommuDomain.UNMAPPED);
                        assertThat(domain.translate(spot.iova() + i * size + size - 1))
                                .isEqualTo(IommuDomain.UNMAPPED);
                        bench.assertBlocked(at + i * size);
                        bench.assertBlocked(other, at + i * size);
                    }
                    bench.assertReaches(at + (whole + 1) * size, bench.scratch());
                    assertThat(bench.unmap(domain, spot.iova() + (whole + 1) * size, size))
                            .isEqualTo(size);
                }
            }
        }
    }

    @Test
    @Promise("unmap-5")
    void pagesOutsideTheRangeAndOfOtherDomainsStay(Bench bench) {
        IommuDomain domain = bench.attached();
        IommuDomain other = bench.iommu().allocate(DomainType.UNMANAGED, bench.second());
        bench.attach(other, bench.second());
        long page = bench.granule();
        long far = bench.tableSpan();
        bench.map(domain, bench.iova() - page, bench.scratch());
        bench.map(domain, bench.iova(), bench.scratch() + page, page, 16, READ_WRITE);
        bench.map(domain, bench.iova() + far, bench.scratch() + 17 * page);
        bench.map(other, bench.iova(), bench.scratch() + 20 * page, page, 16, READ_WRITE);

        assertThat(bench.unmap(domain, bench.iova() + 4 * page, 4 * page)).isEqualTo(4 * page);
        assertThat(bench.unmap(domain, bench.iova() + 10 * page, page)).isEqualTo(page);

        bench.assertReaches(bench.iova() - page, bench.scratch());
        bench.assertReaches(bench.iova() + far, bench.scratch() + 17 * page);
        for (int i = 0; i < 16; i++) {
            long iova = bench.iova() + i * page;
            bench.assertReaches(bench.secondRequester(), iova, bench.scratch() + (20 + i) * page);
            if ((i >= 4 && i < 8) || i == 10) {
                bench.assertBlocked(iova);
            } else {
                bench.assertReaches(iova, bench.scratch() + (1 + i) * page);
                assertThat(domain.translate(iova + page - 1)).isEqualTo(bench.scratch() + (2 + i) * page - 1);
            }
        }
        assertThat(bench.unmap(other, bench.iova() + 8 * page, 4 * page)).isEqualTo(4 * page);
        bench.assertReaches(bench.iova() + 8 * page, bench.scratch() + 9 * page);
        bench.assertReaches(bench.iova() + 9 * page, bench.scratch() + 10 * page);
        bench.assertReaches(bench.iova() + 11 * page, bench.scratch() + 12 * page);
        bench.assertBlocked(bench.secondRequester(), bench.iova() + 9 * page);
        bench.assertReaches(bench.secondRequester(), bench.iova() + 12 * page, bench.scratch() + 32 * page);
        // All of a table but its first page, all but its last.
        long pages = far / page;
        long second = bench.iova() + 2 * far;
        bench.map(domain, second, bench.scratch() & -far, page, pages, READ_WRITE);
        assertThat(bench.unmap(domain, second + page, far - 2 * page)).isEqualTo(far - 2 * page);
        assertThat(domain.translate(second)).isEqualTo(bench.scratch() & -far);
        assertThat(domain.translate(second + far - 1)).isEqualTo((bench.scratch() & -far) + far - 1);
        assertThat(bench.requester().write(second + far - 8, 1, false)
                        || (bench.scratch() & -far) + far
                                > bench.subject().machine().memoryBytes())
                .as("the last page of the table is written")
                .isTrue();
    }

    // The gather.

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
        SpoiltFrames.onBoth(bench, UnmappingContract::assertTablesRideOnTheGather);
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
        SpoiltFrames.onBoth(bench, UnmappingContract::assertMoreTablesThanAGatherHoldsAreFreed);
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
        SpoiltFrames.onBoth(bench, UnmappingContract::assertAFullGatherIsSynced);
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

    // What can't be unmapped, and what unmapping needs.

    @Test
    @Promise({"unmap-10", "unmap-6"})
    void nothingIsUnmappedWhereNothingStartsOrNoneCanBeMapped(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        long last = domain.apertureEnd() - (page - 1);
        bench.map(domain, bench.iova(), bench.scratch());
        bench.map(domain, domain.apertureStart(), bench.scratch() + page);
        bench.map(domain, last, bench.scratch() + 2 * page);
        IotlbGather gather = new IotlbGather();
        List<long[]> zero = new ArrayList<>(List.of(
                new long[] {bench.iova() + page, page},
                new long[] {bench.iova() - page, 2 * page},
                new long[] {bench.iova() + 8, page},
                new long[] {bench.iova() + 1, page},
                new long[] {bench.iova(), page - 8},
                new long[] {bench.iova(), page + 1},
                new long[] {bench.iova(), 2 * page + page / 2},
                new long[] {bench.iova(), 8},
                new long[] {bench.iova(), 0},
                new long[] {last, 2 * page},
                new long[] {last, 1L << 62},
                new long[] {last, -page},
                new long[] {bench.iova(), domain.apertureEnd() - bench.iova() + 1 + page}));
        if (domain.apertureEnd() != -1L) {
            zero.add(new long[] {domain.apertureEnd() + 1, page});
            zero.add(new long[] {-page, page});
            zero.add(new long[] {bench.iova(), -page - bench.iova()});
            zero.add(new long[] {Long.MIN_VALUE, page});
        }
        if (domain.apertureStart() != 0) {
            zero.add(new long[] {domain.apertureStart() - page, page});
            zero.add(new long[] {domain.apertureStart() - page, 2 * page});
            zero.add(new long[] {0, page});
        }
        for (long[] range : zero) {
            assertThat(bench.unmap(domain, range[0], range[1], gather))
                    .as("unmap(0x%x, 0x%x)", range[0], range[1])
                    .isZero();
            assertThat(gather.isEmpty()).isTrue();
        }
        bench.assertReaches(bench.iova(), bench.scratch());
        bench.assertReaches(domain.apertureStart(), bench.scratch() + page);
        bench.assertReaches(last, bench.scratch() + 2 * page);
        List<DomainType> types = new ArrayList<>(List.of(DomainType.BLOCKED));
        if (bench.traits().has(Ability.IDENTITY)) {
            types.add(DomainType.IDENTITY);
        }
        for (DomainType type : types) {
            IommuDomain without = bench.iommu().allocate(type, bench.device());
            assertThat(without.unmap(bench.iova(), page, gather)).isZero();
            assertThat(without.unmap(0, page, gather)).isZero();
            assertThat(without.unmap(0, 0, gather)).isZero();
            assertThat(gather.isEmpty()).isTrue();
            without.close();
        }
    }

    @Test
    @Promise("unmap-2")
    void unmappingNeitherThrowsNorTakesAFrame(Bench whole) {
        CountedFrames frames = new CountedFrames();
        Bench bench = whole.on(frames::in);
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        long span = bench.tableSpan();
        mapAlike(bench, domain, page, 9);
        bench.map(domain, bench.iova() + span, bench.scratch() & -span, page, span / page, READ_WRITE);
        for (long size : sizes(bench, domain)) {
            if (size > span) {
                bench.map(domain, bench.iova() + size, 0, size, 1, READ_WRITE);
            }
        }
        long calls = frames.calls();
        frames.exhausted(true);
        Random random = bench.random();
        IotlbGather gather = new IotlbGather();
        long[] iovas = {0, -1, Long.MIN_VALUE, Long.MAX_VALUE, domain.apertureEnd(), domain.apertureStart(), 8};
        for (int i = 0; i < 600; i++) {
            long iova = i < iovas.length ? iovas[i] : bench.iova() + random.nextInt(12) * page;
            long size = i % 3 == 0 ? random.nextLong() : 1L + random.nextInt(3) * page;
            bench.steps().note("unmap(0x%x, 0x%x)", iova, size);
            assertThat(domain.unmap(iova, size, gather)).isNotNegative();
            domain.sync(gather);
        }
        bench.unmap(domain, bench.iova() + span, span);
        for (long size : sizes(bench, domain)) {
            bench.unmap(domain, bench.iova() + size, page);
        }
        for (int i = 0; i < 9; i++) {
            bench.unmap(domain, bench.iova() + i * page, page);
        }
        assertThat(frames.calls()).as("frames asked for").isEqualTo(calls);
        frames.exhausted(false);
        assertThat(domain.translate(bench.iova())).isEqualTo(IommuDomain.UNMAPPED);
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise({"unmap-2", "sync-4"})
    void unmappingGoesOnWhereTheUnitDoesNotAnswer(Bench whole) {
        Silence silence = new Silence();
        Bench bench = whole.on(silence::in);
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        long span = bench.tableSpan();
        int tables = (int) Math.min(IotlbGather.MAX_FRAMES + 3, bench.room() / span);
        long before = bench.framesInUse();
        bench.map(domain, bench.iova(), bench.scratch() & -span, page, tables * (span / page), READ_WRITE);
        IotlbGather gather = new IotlbGather();
        silence.during(() -> {
            assertThat(bench.unmap(domain, bench.iova(), tables * span, gather)).isEqualTo(tables * span);
            assertRefused(NOT_COMPLETED, () -> domain.sync(gather));
        });
        assertThat(gather.isEmpty()).isTrue();
        for (int i = 0; i < tables; i++) {
            assertThat(domain.translate(bench.iova() + i * span)).isEqualTo(IommuDomain.UNMAPPED);
        }
        assertThat(bench.iommu().quarantinedFrames())
                .as("frames that the unit may still use")
                .isBetween(Math.min(1, bench.framesInUse() - before), bench.framesInUse());
        assertThat(bench.iommu().quarantinedFrames()).isGreaterThanOrEqualTo(tables);
    }

    @Test
    @Promise({"unmap-11", "sync-5"})
    void aClosedDomainUnmapsAndSyncsNothing(Bench bench) {
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        bench.detach(domain, bench.device());
        IotlbGather full = new IotlbGather();
        full.addRange(bench.iova(), bench.iova() + bench.granule() - 1);
        List<IommuDomain> closed = new ArrayList<>(List.of(domain));
        closed.add(bench.iommu().allocate(DomainType.BLOCKED, bench.device()));
        for (IommuDomain each : closed) {
            each.close();
            for (int round = 0; round < 2; round++) {
                IotlbGather empty = new IotlbGather();
                assertRefused(Errno.ENODEV, () -> each.unmap(bench.iova(), bench.granule(), empty));
                assertRefused(Errno.ENODEV, () -> each.unmap(0, 0, empty));
                assertRefused(Errno.ENODEV, () -> each.unmap(bench.iova() + 1, 1, empty));
                assertThat(empty.isEmpty()).isTrue();
                assertRefused(Errno.ENODEV, () -> each.sync(empty));
                assertRefused(Errno.ENODEV, () -> each.sync(full));
            }
        }
    }

    // sync.

    @Test
    @Promise("sync-2")
    void theFirstAndTheLastPageThatCanBeMappedAreForgotten(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        for (long iova : new long[] {domain.apertureStart(), domain.apertureEnd() - (page - 1)}) {
            bench.map(domain, iova, bench.scratch());
            bench.assertReaches(iova, bench.scratch());
            assertThat(bench.unmap(domain, iova, page)).isEqualTo(page);
            bench.assertBlocked(iova);
        }
    }

    @Test
    @Promise("sync-2")
    void aDeviceThatCameBackForgetsAsWellAndForEveryThread(Bench given) {
        // A machine with caches belongs to one thread.
        Bench bench = new Bench(given.subject().flat());
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        for (int round = 0; round < 3; round++) {
            bench.map(domain, bench.iova(), bench.scratch());
            bench.assertReaches(bench.iova(), bench.scratch());
            bench.assertReaches(other, bench.iova(), bench.scratch());
            IotlbGather gather = bench.unmapOnly(domain, bench.iova(), bench.granule());
            CompletableFuture.runAsync(() -> domain.sync(gather)).join();
            bench.assertBlocked(bench.iova());
            bench.assertBlocked(other, bench.iova());
            bench.detach(domain, bench.device());
            bench.attach(domain, bench.device());
        }
    }

    @Test
    @Promise({"sync-2", "sync-1"})
    void allPagesOfOneUnmapAreForgottenBySyncTheLastOneAboveAll(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        for (long size : sizes(bench, domain)) {
            Spot spot = Spot.of(bench, domain, size);
            for (int count : new int[] {1, 2, 3, 5, 9, 17}) {
                if (count * size > bench.room() / 2) {
                    continue;
                }
                long first = spot.iova() + spot.offset();
                for (int i = 0; i < count; i++) {
                    bench.map(domain, spot.iova() + i * size, spot.physicalAddress(), size, 1, READ_WRITE);
                    bench.assertReaches(first + i * size, bench.scratch());
                    bench.assertReaches(other, first + i * size, bench.scratch());
                }
                assertThat(bench.unmap(domain, spot.iova(), count * size)).isEqualTo(count * size);
                for (int i = count - 1; i >= 0; i--) {
                    bench.assertBlocked(first + i * size);
                    bench.assertBlocked(other, first + i * size);
                }
            }
        }
    }

    @Test
    @NeedsAbility(Ability.TRANSLATION_CACHE)
    @Promise({"sync-2", "sync-1"})
    void aTranslationThatHardwareHoldsStandsUntilSyncAndNotAfter(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        long page = bench.granule();
        for (int count : new int[] {1, 2, 3, 6}) {
            bench.map(domain, bench.iova(), bench.scratch(), page, count + 1, READ_WRITE);
            for (int i = 0; i <= count; i++) {
                bench.assertReaches(bench.iova() + i * page, bench.scratch() + i * page);
                bench.assertReaches(other, bench.iova() + i * page, bench.scratch() + i * page);
            }
            IotlbGather gather = new IotlbGather();
            assertThat(bench.unmap(domain, bench.iova(), count * page, gather)).isEqualTo(count * page);
            assertThat(domain.translate(bench.iova())).isEqualTo(IommuDomain.UNMAPPED);
            // Otherwise the rest would be tested on nothing.
            long last = (count - 1) * page;
            bench.assertReaches(bench.iova() + last, bench.scratch() + last);
            bench.assertReaches(other, bench.iova() + last, bench.scratch() + last);

            bench.sync(domain, gather);
            assertThat(gather.isEmpty()).isTrue();
            assertThat(gather.hasRange()).isFalse();
            for (int i = count - 1; i >= 0; i--) {
                bench.assertBlocked(bench.iova() + i * page);
                bench.assertBlocked(other, bench.iova() + i * page);
            }
            bench.assertReaches(bench.iova() + count * page, bench.scratch() + count * page);
            assertThat(bench.unmap(domain, bench.iova() + count * page, page)).isEqualTo(page);
        }
    }

    @Test
    @Promise({"sync-1", "sync-2"})
    void severalUnmapsOfOneGatherAreAllForgotten(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        IotlbGather gather = new IotlbGather();
        long[] places = {0, 3, 7, 1, 40};
        for (int round = 0; round < 2; round++) {
            for (long place : places) {
                bench.map(domain, bench.iova() + place * page, bench.scratch() + place * page);
                bench.assertReaches(bench.iova() + place * page, bench.scratch() + place * page);
            }
            for (long place : places) {
                assertThat(bench.unmap(domain, bench.iova() + place * page, page, gather))
                        .isEqualTo(page);
            }
            bench.sync(domain, gather);
            assertThat(gather.isEmpty()).isTrue();
            for (long place : places) {
                bench.assertBlocked(bench.iova() + place * page);
            }
            // The same gather serves again.
        }
    }

    @Test
    @Promise("sync-3")
    void anEmptyGatherTouchesNoHardware(Bench bench) {
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        Trace trace = bench.machine().trace();
        IotlbGather gather = new IotlbGather();
        trace.start();
        bench.sync(domain, gather);
        assertThat(trace.size()).as("events of an empty gather").isZero();
        bench.unmap(domain, bench.iova() + bench.granule(), bench.granule(), gather);
        int looked = trace.size();
        bench.sync(domain, gather);
        assertThat(trace.size()).as("events of a gather of nothing").isEqualTo(looked);
        assertThat(bench.unmap(domain, bench.iova(), bench.granule(), gather)).isEqualTo(bench.granule());
        bench.sync(domain, gather);
        int synced = trace.size();
        bench.sync(domain, gather);
        assertThat(trace.size()).as("events of a gather that sync has emptied").isEqualTo(synced);
        trace.stop();
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise({"sync-4", "sync-3"})
    void aSyncThatDoesNotCompleteQuarantinesTheFramesAndBreaksTheUnit(Bench whole) {
        Silence silence = new Silence();
        Bench bench = whole.on(silence::in);
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        long span = bench.tableSpan();
        bench.map(domain, bench.iova() - page, bench.scratch());
        bench.map(domain, bench.iova(), bench.scratch() & -span, page, 3 * (span / page), READ_WRITE);
        long frames = bench.framesInUse();
        IotlbGather gather = new IotlbGather();
        assertThat(bench.unmap(domain, bench.iova(), 3 * span, gather)).isEqualTo(3 * span);
        long waiting = gather.totalFrames();
        silence.during(() -> assertRefused(NOT_COMPLETED, () -> domain.sync(gather)));

        assertThat(bench.iommu().quarantinedFrames()).as("quarantined frames").isEqualTo(waiting);
        assertThat(bench.framesInUse()).as("frames that are not used again").isEqualTo(frames);
        assertThat(gather.isEmpty()).isTrue();
        // A broken unit is not noticed by what needs none, and by nothing is forgotten that it is.
        domain.sync(gather);
        domain.sync(new IotlbGather());
        domain.map(bench.iova(), bench.scratch(), page, 2, READ_WRITE);
        for (int i = 0; i < 2; i++) {
            assertThat(bench.unmap(domain, bench.iova() + i * page, page, gather))
                    .isEqualTo(page);
            assertRefused(NOT_COMPLETED, () -> domain.sync(gather));
            assertThat(gather.isEmpty()).isTrue();
        }
        assertThat(domain.translate(bench.iova() - page)).isEqualTo(bench.scratch());
        assertThat(bench.iommu().quarantinedFrames()).isGreaterThanOrEqualTo(waiting);
        assertRefused(NOT_COMPLETED, () -> domain.detach(bench.device()));
        domain.close();
        assertThat(bench.framesInUse())
                .as("frames in use after the domain is closed")
                .isGreaterThanOrEqualTo(waiting);
        bench.iommu().close();
        assertThat(bench.framesInUse())
                .as("only what was counted is kept")
                .isEqualTo(bench.iommu().quarantinedFrames());
    }
}
