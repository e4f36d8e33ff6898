// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Mapped.attachSecond;
import static org.iommu4j.tck.driver.Mapped.in;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.Prot;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link IommuDomain#map}: what is mapped is reached, all of it or nothing. */
public abstract class MappingContract {
    /** Made by JUnit. */
    protected MappingContract() {}

    // What is mapped is reached.

    @Test
    @Promise("map-1")
    void pagesOfEverySizeAreReachedAfterSyncMapAndNothingBesideThem(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            bench.map(domain, spot.iova(), spot.physicalAddress(), size, 1, READ_WRITE);

            long reachable = spot.reachable(bench, size);
            for (long at : new long[] {0, bench.granule() - 8, reachable / 2 & -8, reachable - 8}) {
                long offset = spot.offset() + at;
                bench.assertReaches(spot.iova() + offset, spot.physicalAddress() + offset);
                bench.assertReaches(other, spot.iova() + offset, spot.physicalAddress() + offset);
            }
            if (spot.iova() - 1 != -1L && Long.compareUnsigned(spot.iova(), domain.apertureStart()) > 0) {
                bench.assertBlocked(spot.iova() - 8);
            }
            if (Long.compareUnsigned(spot.iova() + size - 1, domain.apertureEnd()) < 0) {
                bench.assertBlocked(spot.iova() + size);
            }
            assertThat(bench.unmap(domain, spot.iova(), size)).isEqualTo(size);
        }
    }

    @Test
    @Promise("map-1")
    void everyPageOfARunAcrossTablesLeadsToItsOwn(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        long page = bench.granule();
        long scratchPages = (bench.subject().machine().memoryBytes() - bench.scratch()) / page;
        int count = (int) Math.min(300, scratchPages);
        long iova = bench.iova() + bench.tableSpan() - 100 * page;
        bench.map(domain, iova, bench.scratch(), page, count, READ_WRITE);

        for (int i = 0; i < count; i++) {
            bench.store(bench.scratch() + i * page + 16, 0x5000 + i);
        }
        for (int i = 0; i < count; i++) {
            Requester who = i % 2 == 0 ? bench.requester() : other;
            assertThat(who.read(iova + i * page + 16, false))
                    .as("page %d of the run", i)
                    .isEqualTo(0x5000 + i);
        }
        bench.assertReaches(iova, bench.scratch());
        bench.assertReaches(iova + count * page - 8, bench.scratch() + count * page - 8);
        bench.assertBlocked(iova - 8);
        bench.assertBlocked(iova + count * page);
    }

    @Test
    @Promise("map-1")
    void runsOfEverySizeLeadEachPageToItsOwn(Bench bench) {
        IommuDomain domain = bench.attached();
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            if (spot.offset() != 0 || spot.reachable(bench, size) < size) {
                continue;
            }
            long count = Math.min(3, (bench.subject().machine().memoryBytes() - bench.scratch()) / size);
            bench.map(domain, spot.iova(), bench.scratch(), size, count, READ_WRITE);
            for (long at = 0; at < count * size; at += size) {
                bench.assertReaches(spot.iova() + at, bench.scratch() + at);
                bench.assertReaches(spot.iova() + at + size - 8, bench.scratch() + at + size - 8);
            }
            bench.assertBlocked(spot.iova() + count * size);
            assertThat(bench.unmap(domain, spot.iova(), count * size)).isEqualTo(count * size);
        }
    }

    @Test
    @Promise("map-1")
    void pagesFarApartAreAllThereAtOnceInTwoDomains(Bench bench) {
        IommuDomain domain = bench.attached();
        IommuDomain other = bench.iommu().allocate(DomainType.UNMANAGED, bench.second());
        bench.attach(other, bench.second());
        List<Long> places = new ArrayList<>();
        for (long at = bench.granule(); at != 0 && in(domain, at); at <<= 3) {
            if (Long.compareUnsigned(at, domain.apertureStart()) >= 0) {
                places.add(at);
            }
        }
        for (int i = 0; i < places.size(); i++) {
            bench.map(domain, places.get(i), bench.scratch() + 2L * i * bench.granule());
            if (in(other, places.get(i))) {
                bench.map(other, places.get(i), bench.scratch() + (2L * i + 1) * bench.granule());
            }
        }
        for (int i = 0; i < places.size(); i++) {
            bench.assertReaches(places.get(i), bench.scratch() + 2L * i * bench.granule());
            if (in(other, places.get(i))) {
                bench.assertReaches(
                        bench.secondRequester(), places.get(i), bench.scratch() + (2L * i + 1) * bench.granule());
            }
        }
    }

    @Test
    @Promise("map-1")
    void mappingsAreReachedByADeviceThatComesLaterAndAgainAfterItWasAway(Bench bench) {
        IommuDomain domain = bench.domain();
        bench.map(domain, bench.iova(), bench.scratch());
        bench.attach(domain, bench.device());
        bench.assertReaches(bench.iova(), bench.scratch());
        bench.detach(domain, bench.device());
        bench.map(domain, bench.iova() + bench.granule(), bench.scratch() + bench.granule());
        bench.attach(domain, bench.device());
        bench.map(domain, bench.iova() + 2 * bench.granule(), bench.scratch() + 2 * bench.granule());

        for (int i = 0; i < 3; i++) {
            bench.assertReaches(bench.iova() + i * bench.granule(), bench.scratch() + i * bench.granule());
        }
    }

    @Test
    @Promise("map-1")
    void aPageThatIsMappedElsewhereTimeAndAgainIsReachedThere(Bench bench) {
        IommuDomain domain = bench.attached();
        for (int round = 0; round < 12; round++) {
            bench.map(domain, bench.iova(), bench.scratch() + round * bench.granule());
            bench.assertReaches(bench.iova(), bench.scratch() + round * bench.granule());
            assertThat(bench.unmap(domain, bench.iova(), bench.granule())).isEqualTo(bench.granule());
        }
    }

    // All or nothing.

    @Test
    @Promise({"map-2", "map-10"})
    void aRunThatMeetsAMappingAnywhereMapsNothingAndLeavesTheMapping(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        long span = bench.tableSpan();
        long iova = bench.iova();
        long boundary = iova + span;
        bench.map(domain, boundary + 2 * page, bench.scratch() + page, page, 1, Prot.READ | Prot.CACHE);
        bench.map(domain, iova, bench.scratch());
        bench.store(bench.scratch() + page, 0x77);
        long frames = bench.framesInUse();

        // Over two tables, up to its last page, from its first, in its middle; one page alone.
        long[][] runs = {
            {boundary - 4 * page, 7},
            {boundary - 4 * page, 9},
            {boundary + 2 * page, 3},
            {boundary + 2 * page, 1},
            {boundary, 3},
            {iova, 1},
            {iova, 2},
            {iova + page, span / page + 2},
            {boundary + page, span / page + 5}
        };
        for (long[] run : runs) {
            bench.steps().note("map(0x%x, %d pages), which meets a mapping", run[0], run[1]);
            assertRefused(
                    Errno.EADDRINUSE, () -> domain.map(run[0], bench.scratch() + 8 * page, page, run[1], READ_WRITE));
            for (long i = 0; i < run[1]; i += i < 12 || i > run[1] - 8 ? 1 : 37) {
                long at = run[0] + i * page;
                if (at != boundary + 2 * page && at != iova) {
                    assertThat(domain.translate(at)).as("0x%x", at).isEqualTo(IommuDomain.UNMAPPED);
                }
            }
            if (run[0] != boundary + 2 * page && run[0] != iova) {
                bench.assertBlocked(run[0]);
            }
            bench.assertReaches(iova, bench.scratch());
            assertThat(domain.translate(boundary + 2 * page)).isEqualTo(bench.scratch() + page);
            assertThat(bench.requester().read(boundary + 2 * page, false)).isEqualTo(0x77);
            assertThat(bench.requester().write(boundary + 2 * page, 1, false))
                    .as("a write to the read-only page")
                    .isFalse();
        }
        // A table for the pages before the mapping may stay, but not one for each try.
        assertThat(bench.framesInUse()).as("frames in use").isBetween(frames, frames + 4);
        bench.map(domain, iova + page, bench.scratch() + 8 * page, page, 4, READ_WRITE);
        bench.assertReaches(iova + 4 * page, bench.scratch() + 11 * page);
    }

    @Test
    @Promise({"map-10", "map-2"})
    void pagesOfDifferentSizesAreInEachOthersWay(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        for (long size : bench.pageSizes(domain)) {
            if (size == page || size > 64 << 20) {
                continue;
            }
            for (long at : new long[] {0, page, size / 2, size - page}) {
                bench.map(domain, bench.iova() + at, bench.scratch());
                assertRefused(Errno.EADDRINUSE, () -> domain.map(bench.iova(), 0, size, 1, READ_WRITE));
                assertRefused(Errno.EADDRINUSE, () -> domain.map(bench.iova() - 2 * size, 0, size, 3, READ_WRITE));
                assertThat(domain.translate(bench.iova() - 2 * size)).isEqualTo(IommuDomain.UNMAPPED);
                assertThat(domain.translate(bench.iova() - 1)).isEqualTo(IommuDomain.UNMAPPED);
                bench.assertReaches(bench.iova() + at, bench.scratch());
                assertThat(bench.unmap(domain, bench.iova() + at, page)).isEqualTo(page);
            }
            bench.map(domain, bench.iova(), 0, size, 1, READ_WRITE);
            for (long at : new long[] {0, page, size / 2, size - page}) {
                assertRefused(
                        Errno.EADDRINUSE, () -> domain.map(bench.iova() + at, bench.scratch(), page, 1, READ_WRITE));
                assertThat(domain.translate(bench.iova() + at)).isEqualTo(at);
            }
            assertRefused(Errno.EADDRINUSE, () -> domain.map(bench.iova(), 0, size, 1, READ_WRITE));
            assertRefused(
                    Errno.EADDRINUSE, () -> domain.map(bench.iova() - page, bench.scratch(), page, 2, READ_WRITE));
            assertThat(domain.translate(bench.iova() - page)).isEqualTo(IommuDomain.UNMAPPED);
            assertThat(domain.translate(bench.iova() + size - 1)).isEqualTo(size - 1);
            assertThat(bench.unmap(domain, bench.iova(), size)).isEqualTo(size);
        }
        bench.map(domain, bench.iova(), bench.scratch());
        assertRefused(Errno.EADDRINUSE, () -> domain.map(bench.iova(), bench.scratch(), page, 1, READ_WRITE));
        assertRefused(Errno.EADDRINUSE, () -> domain.map(bench.iova(), bench.scratch(), page, 1, Prot.READ));
        bench.assertReaches(bench.iova(), bench.scratch());
    }

    @Test
    @Promise({"map-11", "map-2"})
    void whenAnyFrameIsMissingNothingIsMappedAndTheNextAttemptSucceeds(Bench bench) {
        assertEveryFailureLeavesNothing(bench, true);
    }

    @Test
    @Promise({"map-3", "map-11"})
    void allFramesComeBackFromADomainWhoseRunsWereRefused(Bench bench) {
        long before = bench.framesInUse();
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        long page = bench.granule();
        long end = bench.iova() + 2 * bench.tableSpan();
        for (int round = 0; round < 3; round++) {
            long most = bench.framesInUse();
            for (int i = 0; i < 5; i++) {
                assertRefused(
                        Errno.EADDRINUSE,
                        () -> domain.map(
                                bench.iova() - page, bench.scratch(), page, bench.tableSpan() / page + 9, READ_WRITE));
                assertRefused(
                        Errno.ERANGE, () -> domain.map(end, bench.scratch(), page, Long.MAX_VALUE >>> 12, READ_WRITE));
                // What a refused run leaves serves the next: it does not add up.
                assertThat(bench.framesInUse()).as("frames in use").isLessThanOrEqualTo(most + 3);
            }
        }
        assertThat(domain.translate(bench.iova() - page)).isEqualTo(IommuDomain.UNMAPPED);
        bench.assertBlocked(bench.iova() - page);
        bench.detach(domain, bench.device());
        domain.close();
        assertThat(bench.framesInUse())
                .as("frames in use after the domain is closed")
                .isEqualTo(before);
        assertEveryFailureLeavesNothing(bench, false);
    }

    /** The n-th allocation of a frame fails, for each n, while a run needs tables at every level. */
    private static void assertEveryFailureLeavesNothing(Bench whole, boolean again) {
        FailNth failures = new FailNth();
        Bench bench = whole.on(context -> context.withFrames(failures.frames(context.frames())));
        long page = bench.granule();
        long empty = bench.framesInUse();
        long iova = bench.iova() + (bench.iova() >>> 1 & -2 * bench.tableSpan()) - 2 * page;
        for (int n = 1; ; n++) {
            IommuDomain domain = bench.attached();
            bench.map(domain, bench.iova(), bench.scratch());
            long frames = bench.framesInUse();
            failures.arm(n);
            bench.steps().note("map(0x%x, 5 pages) without the frame that it asks for as number %d", iova, n);
            Optional<Errno> errno = Errnos.of(() -> domain.map(iova, bench.scratch() + page, page, 5, READ_WRITE));
            failures.disarm();
            if (!failures.fired()) {
                assertThat(errno).isEmpty();
                return;
            }
            assertThat(errno).as("without frame %d", n).contains(Errno.ENOMEM);
            for (int i = 0; i < 5; i++) {
                assertThat(domain.translate(iova + i * page)).isEqualTo(IommuDomain.UNMAPPED);
                bench.assertBlocked(iova + i * page);
            }
            bench.assertReaches(bench.iova(), bench.scratch());
            assertThat(bench.framesInUse()).as("frames in use").isBetween(frames, frames + n);
            if (again) {
                bench.map(domain, iova, bench.scratch() + page, page, 5, READ_WRITE);
                for (int i = 0; i < 5; i++) {
                    bench.assertReaches(iova + i * page, bench.scratch() + (1 + i) * page);
                }
            }
            bench.detach(domain, bench.device());
            domain.close();
            assertThat(bench.framesInUse())
                    .as("frames in use after the domain is closed")
                    .isEqualTo(empty);
        }
    }

    // Empty tables.

    @Test
    @Promise("map-4")
    void aLargePageTakesThePlaceOfEmptyTables(Bench bench) {
        SpoiltFrames.onBoth(bench, MappingContract::assertLargePagesTakeThePlaceOfTables);
    }

    private static void assertLargePagesTakeThePlaceOfTables(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        long page = bench.granule();
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            if (size == page || spot.iova() != bench.iova() || size > 4L << 30) {
                continue;
            }
            bench.map(domain, spot.iova(), spot.physicalAddress(), size, 1, READ_WRITE);
            long alone = bench.framesInUse();
            assertThat(bench.unmap(domain, spot.iova(), size)).isEqualTo(size);

            long[] small = {0, 5 * page % size, size / 2, size - page};
            for (long at : small) {
                bench.map(domain, spot.iova() + at, bench.scratch());
                bench.assertReaches(spot.iova() + at, bench.scratch());
                bench.assertReaches(other, spot.iova() + at, bench.scratch());
                // Less than a table covers, so that the table stays.
                assertThat(bench.unmap(domain, spot.iova() + at, page)).isEqualTo(page);
                bench.assertBlocked(spot.iova() + at);
                bench.assertBlocked(other, spot.iova() + at);
            }
            bench.map(domain, spot.iova(), spot.physicalAddress(), size, 1, READ_WRITE);

            assertThat(bench.framesInUse())
                    .as("frames in use with a page of 0x%x and no table below it", size)
                    .isEqualTo(alone);
            // The unit has walked through the old tables: it must have been told to forget them.
            long at = spot.iova() + spot.offset();
            bench.assertReaches(at, bench.scratch());
            bench.assertReaches(other, at, bench.scratch());
            long end = spot.offset() + spot.reachable(bench, size) - 8;
            bench.assertReaches(spot.iova() + end, spot.physicalAddress() + end);
            bench.assertReaches(other, spot.iova() + end, spot.physicalAddress() + end);
            assertThat(bench.unmap(domain, spot.iova(), size)).isEqualTo(size);
            bench.assertBlocked(at);
        }
    }
}
