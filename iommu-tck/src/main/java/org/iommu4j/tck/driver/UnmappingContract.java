// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.NOT_COMPLETED;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Mapped.attachSecond;
import static org.iommu4j.tck.driver.PageSizes.mapAlike;
import static org.iommu4j.tck.driver.PageSizes.sizes;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link IommuDomain#unmap}. */
public abstract class UnmappingContract {
    /** Made by JUnit. */
    protected UnmappingContract() {}

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
}
