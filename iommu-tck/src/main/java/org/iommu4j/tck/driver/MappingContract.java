// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.NOT_COMPLETED;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link IommuDomain#map} and {@link IommuDomain#syncMap}. */
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

    private static boolean in(IommuDomain domain, long iova) {
        return Long.compareUnsigned(iova, domain.apertureEnd()) < 0;
    }

    /** Attaches the second device as well, and returns it; the first one where the domain does not suit the second. */
    static Requester attachSecond(Bench bench, IommuDomain domain) {
        bench.steps().note("attach(%s)", bench.second().id());
        return domain.attach(bench.second()).attached() ? bench.secondRequester() : bench.requester();
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
        Bench bench = whole.on(context -> Ports.with(context, context.memory(), failures.frames(context.frames())));
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

    // Rights.

    @Test
    @Promise("map-5")
    void aReadOnlyPageCantBeWritten(Bench bench) {
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch(), bench.granule(), 1, Prot.READ);
        bench.store(bench.scratch(), 0x1234);

        assertThat(bench.requester().read(bench.iova(), false))
                .as("the device reads")
                .isEqualTo(0x1234);
        assertThat(bench.requester().write(bench.iova(), 5, false))
                .as("a write is accepted")
                .isFalse();
        assertThat(bench.load(bench.scratch())).as("memory").isEqualTo(0x1234);
    }

    @Test
    @Promise("map-5")
    void pagesOfEverySizeHaveTheRightsOfTheirRunAndNoOther(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            int count = spot.iova() == bench.iova() && size <= 1L << 30 ? 3 : 1;
            for (int prot : new int[] {Prot.READ, Prot.READ | Prot.CACHE, Prot.READ_WRITE, READ_WRITE}) {
                bench.map(domain, spot.iova(), spot.physicalAddress(), size, count, prot);
                long iova = spot.iova() + spot.offset();
                for (Requester who : List.of(bench.requester(), other)) {
                    assertRights(bench, who, iova, bench.scratch(), (prot & Prot.WRITE) != 0);
                    // Reading first must not grant writing, nor the other way round.
                    assertRights(bench, who, iova, bench.scratch(), (prot & Prot.WRITE) != 0);
                }
                for (int i = 1; i < count; i++) {
                    long at = spot.iova() + i * size;
                    assertThat(bench.requester().write(at, 7, false))
                            .as("a write to page %d of 0x%x", i, size)
                            .isEqualTo((prot & Prot.WRITE) != 0);
                }
                assertThat(bench.unmap(domain, spot.iova(), count * size)).isEqualTo(count * size);
            }
        }
    }

    @Test
    @Promise("map-5")
    void neighboursKeepTheirRightsWhenOneIsMappedAnew(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        int[] rights = {Prot.READ, Prot.READ_WRITE, Prot.READ, Prot.READ_WRITE};
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < rights.length; i++) {
                if (round == 0 || i == round) {
                    bench.map(domain, bench.iova() + i * page, bench.scratch() + i * page, page, 1, rights[i]);
                }
            }
            for (int i = 0; i < rights.length; i++) {
                assertRights(
                        bench,
                        bench.requester(),
                        bench.iova() + i * page,
                        bench.scratch() + i * page,
                        rights[i] == Prot.READ_WRITE);
            }
            int next = round + 1;
            assertThat(bench.unmap(domain, bench.iova() + next * page, page)).isEqualTo(page);
            rights[next] ^= Prot.WRITE;
        }
    }

    private static void assertRights(Bench bench, Requester who, long iova, long physicalAddress, boolean writable) {
        long word = iova * 7 + physicalAddress;
        bench.store(physicalAddress, word);
        assertThat(who.read(iova, false)).as("a read at 0x%x", iova).isEqualTo(word);
        assertThat(who.write(iova, word + 1, false))
                .as("a write at 0x%x is accepted", iova)
                .isEqualTo(writable);
        assertThat(bench.load(physicalAddress)).as("memory").isEqualTo(writable ? word + 1 : word);
    }

    @Test
    @NeedsAbility(Ability.WRITE_ONLY)
    @Promise({"map-5", "map-6"})
    void aWriteOnlyPageCantBeRead(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            long iova = spot.iova() + spot.offset();
            bench.map(domain, spot.iova(), spot.physicalAddress(), size, 1, Prot.WRITE);
            for (Requester who : List.of(bench.requester(), other)) {
                bench.store(bench.scratch(), 0x1234);
                assertThat(who.read(iova, false)).as("the device reads").isNotEqualTo(0x1234);
                assertThat(who.write(iova, 5, false)).as("a write is accepted").isTrue();
                assertThat(bench.load(bench.scratch())).as("memory").isEqualTo(5);
            }
            assertThat(bench.unmap(domain, spot.iova(), size)).isEqualTo(size);
        }
    }

    @Test
    @Promise("map-6")
    void whatMayBeWrittenMayBeReadWhereTheFormatCantTellThemApart(Bench bench) {
        IommuDomain domain = bench.attached();
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            long iova = spot.iova() + spot.offset();
            bench.map(domain, spot.iova(), spot.physicalAddress(), size, 1, Prot.WRITE | Prot.CACHE);
            bench.store(bench.scratch(), 0x1234);
            assertThat(bench.requester().write(iova + 8, 5, false))
                    .as("a write is accepted")
                    .isTrue();
            assertThat(bench.requester().read(iova, false) == 0x1234)
                    .as("a page of 0x%x that is mapped for writing alone can be read", size)
                    .isEqualTo(!bench.traits().has(Ability.WRITE_ONLY));
            assertThat(bench.unmap(domain, spot.iova(), size)).isEqualTo(size);
        }
    }

    // Refusals.

    /** Asserts that a call is refused and that nothing has changed. */
    private static void assertRefusedAndUnchanged(
            Bench bench,
            Errno errno,
            IommuDomain domain,
            long iova,
            long physicalAddress,
            long pageSize,
            long count,
            int prot) {
        bench.steps()
                .note(
                        "map(0x%x, 0x%x, 0x%x x %d, %s), which is refused",
                        iova, physicalAddress, pageSize, count, Prot.toString(prot));
        long frames = bench.framesInUse();
        long before = domain.translate(iova);
        assertRefused(errno, () -> domain.map(iova, physicalAddress, pageSize, count, prot));
        assertThat(domain.translate(iova)).isEqualTo(before);
        assertThat(domain.translate(iova + pageSize)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
    }

    @Test
    @Promise("map-7")
    void aRunWithoutRightsMisalignedOrWithoutPagesIsRefusedWithEinval(Bench bench) {
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        long page = bench.granule();
        long free = bench.iova() + 16 * page;
        for (int prot : new int[] {0, Prot.CACHE}) {
            assertRefusedAndUnchanged(bench, Errno.EINVAL, domain, free, bench.scratch(), page, 1, prot);
            assertRefusedAndUnchanged(bench, Errno.EINVAL, domain, free, bench.scratch(), page, 4, prot);
        }
        for (long off : new long[] {1, 8, 2048, page / 2, page - 1}) {
            assertRefusedAndUnchanged(bench, Errno.EINVAL, domain, free + off, bench.scratch(), page, 1, READ_WRITE);
            assertRefusedAndUnchanged(bench, Errno.EINVAL, domain, free, bench.scratch() + off, page, 1, READ_WRITE);
            assertRefusedAndUnchanged(
                    bench, Errno.EINVAL, domain, free + off, bench.scratch() + off, page, 1, READ_WRITE);
        }
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            if (size != page && spot.iova() == bench.iova() && size <= 1L << 30) {
                for (long off : new long[] {page, size / 2, size - page}) {
                    long iova = bench.iova() + size;
                    assertRefusedAndUnchanged(bench, Errno.EINVAL, domain, iova + off, 0, size, 1, READ_WRITE);
                    assertRefusedAndUnchanged(bench, Errno.EINVAL, domain, iova, off, size, 1, READ_WRITE);
                }
            }
        }
        for (long none : new long[] {0, -1, Long.MIN_VALUE}) {
            assertRefusedAndUnchanged(bench, Errno.EINVAL, domain, free, bench.scratch(), page, none, READ_WRITE);
        }
        bench.assertReaches(bench.iova(), bench.scratch());
        bench.assertBlocked(free);
    }

    @Test
    @Promise("map-7")
    void aDomainWithoutTablesRefusesToMapWithEinval(Bench bench) {
        List<DomainType> types = new ArrayList<>(List.of(DomainType.BLOCKED));
        if (bench.traits().has(Ability.IDENTITY)) {
            types.add(DomainType.IDENTITY);
        }
        for (DomainType type : types) {
            IommuDomain domain = bench.iommu().allocate(type, bench.device());
            for (int round = 0; round < 2; round++) {
                assertRefused(
                        Errno.EINVAL, () -> domain.map(bench.iova(), bench.scratch(), bench.granule(), 1, READ_WRITE));
                assertRefused(Errno.EINVAL, () -> domain.map(0, 0, bench.granule(), 1, Prot.READ));
                bench.attach(domain, bench.device());
            }
            bench.detach(domain, bench.device());
            domain.close();
        }
    }

    @Test
    @Promise("map-2")
    void ofARunThatLeavesTheApertureNothingIsMapped(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        long last = domain.apertureEnd() - (page - 1);
        for (int inside : new int[] {1, 2, 5}) {
            long first = last - (inside - 1) * page;
            assertRefused(Errno.ERANGE, () -> domain.map(first, bench.scratch(), page, inside + 1, READ_WRITE));
            for (int i = 0; i < inside; i++) {
                assertThat(domain.translate(first + i * page)).isEqualTo(IommuDomain.UNMAPPED);
            }
            bench.assertBlocked(first);
            bench.assertBlocked(last);
        }
    }

    @Test
    @Promise("map-5")
    void whatElseIsAskedOfAPageTakesNoRightAway(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        int[] hints = {0, Prot.CACHE, Prot.NOEXEC, Prot.MMIO, Prot.PRIV, Prot.CACHE | Prot.NOEXEC | Prot.PRIV};
        for (int i = 0; i < hints.length; i++) {
            long iova = bench.iova() + 2L * i * page;
            bench.map(domain, iova, bench.scratch() + i * page, page, 1, Prot.READ_WRITE | hints[i]);
            bench.assertReaches(iova, bench.scratch() + i * page);
            bench.map(domain, iova + page, bench.scratch() + i * page, page, 1, Prot.READ | hints[i]);
            assertThat(bench.requester().write(iova + page, 1, false)).isFalse();
        }
    }

    @Test
    @Promise("map-8")
    void aPageSizeThatTheDomainDoesNotHaveIsRefusedWithEnxio(Bench bench) {
        IommuDomain domain = bench.attached();
        for (int bit = 0; bit < 63; bit++) {
            long size = 1L << bit;
            if ((domain.pageSizes() & size) == 0) {
                assertRefusedAndUnchanged(bench, Errno.ENXIO, domain, 0, 0, size, 1, READ_WRITE);
            }
        }
        // No bit at all, and the highest, which no power of two of a signed number reaches.
        for (long size : new long[] {0, Long.MIN_VALUE, -1}) {
            assertRefusedAndUnchanged(bench, Errno.ENXIO, domain, 0, 0, size, 1, READ_WRITE);
        }
        for (long size : bench.pageSizes(domain)) {
            // Not one page: three, or one and a half, of those that there are.
            for (long odd : new long[] {3 * size, size + size / 2}) {
                assertRefusedAndUnchanged(bench, Errno.ENXIO, domain, 0, 0, odd, 1, READ_WRITE);
            }
        }
        long all = domain.pageSizes();
        if (Long.bitCount(all) > 1) {
            assertRefusedAndUnchanged(bench, Errno.ENXIO, domain, 0, 0, all, 1, READ_WRITE);
        }
    }

    @Test
    @Promise("map-9")
    void aRunThatLeavesTheApertureOrTheTablesAddressesIsRefusedWithErange(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        long start = domain.apertureStart();
        long end = domain.apertureEnd();
        long last = end - (page - 1);
        long free = bench.iova();
        long physical = bench.scratch();
        assertOutOfRange(bench, domain, last, physical, page, 2);
        assertOutOfRange(bench, domain, last - page, physical, page, 3);
        assertOutOfRange(bench, domain, last, physical, page, 1L << 40);
        if (end != -1L) {
            assertOutOfRange(bench, domain, end + 1, physical, page, 1);
            assertOutOfRange(bench, domain, -page, physical, page, 1);
            assertOutOfRange(bench, domain, Long.MIN_VALUE, physical, page, 1);
        }
        // The run wraps around the address space, once or to where it began.
        assertOutOfRange(bench, domain, -page & end, physical, page, 2);
        long allPages = 1L << (Long.SIZE - Long.numberOfTrailingZeros(page));
        assertOutOfRange(bench, domain, free, 0, page, allPages);
        assertOutOfRange(bench, domain, free, 0, page, allPages + 1);
        assertOutOfRange(bench, domain, free, 0, page, Long.MAX_VALUE);
        if (start != 0) {
            assertOutOfRange(bench, domain, start - page, physical, page, 1);
            assertOutOfRange(bench, domain, start - page, physical, page, 2);
            assertOutOfRange(bench, domain, 0, physical, page, 1);
        }
        int bits = bench.traits().physicalBits();
        if (bits < 64) {
            long limit = 1L << bits;
            assertOutOfRange(bench, domain, free, limit, page, 1);
            assertOutOfRange(bench, domain, free, limit - page, page, 2);
            assertOutOfRange(bench, domain, free, limit - 3 * page, page, 4);
            assertOutOfRange(bench, domain, free, -page, page, 1);
            assertOutOfRange(bench, domain, free, Long.MIN_VALUE, page, 1);
            for (long size : bench.pageSizes(domain)) {
                if (Long.compareUnsigned(size, limit) < 0 && (free & (size - 1)) == 0) {
                    assertOutOfRange(bench, domain, free, limit, size, 1);
                    assertOutOfRange(bench, domain, free, limit - size, size, 2);
                }
            }
            bench.map(domain, free, limit - page, page, 1, READ_WRITE);
            assertThat(domain.translate(free))
                    .as("the last page of the table's")
                    .isEqualTo(limit - page);
        }
        for (long size : bench.pageSizes(domain)) {
            if (size != page && Long.compareUnsigned(end - (size - 1), free + size) > 0) {
                assertOutOfRange(bench, domain, end - (size - 1), 0, size, 2);
            }
        }
    }

    private static void assertOutOfRange(
            Bench bench, IommuDomain domain, long iova, long physicalAddress, long size, long count) {
        assertRefusedAndUnchanged(bench, Errno.ERANGE, domain, iova, physicalAddress, size, count, READ_WRITE);
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("map-12")
    void aLargePageIsTakenBackWhenTheUnitDoesNotConfirmThatItForgotTheTable(Bench whole) {
        Silence silence = new Silence();
        Bench bench = whole.on(silence::in);
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            if (size == page || spot.iova() != bench.iova() || size > 1L << 30) {
                continue;
            }
            bench.map(domain, spot.iova() + size - page, bench.scratch());
            bench.map(domain, spot.iova() + size, bench.scratch());
            bench.assertReaches(spot.iova() + size - page, bench.scratch());
            assertThat(bench.unmap(domain, spot.iova() + size - page, page)).isEqualTo(page);
            long frames = bench.framesInUse();
            if (framesOf(bench, domain, spot, size) >= frames) {
                // In this format such a page has its words in the table of smaller ones: nothing is to be forgotten.
                assertThat(bench.unmap(domain, spot.iova() + size, page)).isEqualTo(page);
                continue;
            }
            bench.map(domain, spot.iova() + size - page, bench.scratch());
            assertThat(bench.unmap(domain, spot.iova() + size - page, page)).isEqualTo(page);
            frames = bench.framesInUse();
            silence.during(() -> assertRefused(
                    NOT_COMPLETED, () -> domain.map(spot.iova(), spot.physicalAddress(), size, 1, READ_WRITE)));

            assertThat(domain.translate(spot.iova())).isEqualTo(IommuDomain.UNMAPPED);
            assertThat(domain.translate(spot.iova() + size - 1)).isEqualTo(IommuDomain.UNMAPPED);
            assertThat(domain.translate(spot.iova() + size)).isEqualTo(bench.scratch());
            assertThat(bench.iommu().quarantinedFrames())
                    .as("quarantined frames")
                    .isPositive();
            assertThat(bench.framesInUse()).as("frames that are kept").isEqualTo(frames);
            assertThat(domain.unmap(spot.iova(), size, new IotlbGather()))
                    .as("what is left of it")
                    .isZero();
            return;
        }
    }

    /** Maps a large page over empty tables, unmaps it again, and returns how many frames were in use meanwhile. */
    private static long framesOf(Bench bench, IommuDomain domain, Spot spot, long size) {
        bench.map(domain, spot.iova(), spot.physicalAddress(), size, 1, READ_WRITE);
        long frames = bench.framesInUse();
        assertThat(bench.unmap(domain, spot.iova(), size)).isEqualTo(size);
        return frames;
    }

    // syncMap.

    @Test
    @Promise("sync-map-1")
    void whatIsMappedIsReachedThoughTheUnitWasAskedThereBefore(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        long page = bench.granule();
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            int count = spot.iova() == bench.iova() && size <= 1L << 30 ? 5 : 1;
            long first = spot.iova() + spot.offset();
            for (int i = 0; i < count; i++) {
                bench.assertBlocked(first + i * size);
                bench.assertBlocked(other, first + i * size);
            }
            bench.assertBlocked(first + Math.min(size - spot.offset(), spot.reachable(bench, size)) - 8);
            // Each page to the same place, so that all can be reached; one syncMap for all.
            for (int i = 0; i < count; i++) {
                bench.mapOnly(domain, spot.iova() + i * size, spot.physicalAddress(), size, 1, READ_WRITE);
            }
            bench.steps().note("syncMap(0x%x, 0x%x)", spot.iova(), count * size);
            domain.syncMap(spot.iova(), count * size);

            for (int i = count - 1; i >= 0; i--) {
                bench.assertReaches(first + i * size, bench.scratch());
                bench.assertReaches(other, first + i * size, bench.scratch());
            }
            long end = spot.offset() + spot.reachable(bench, size) - 8;
            bench.assertReaches(spot.iova() + end, spot.physicalAddress() + end);
            assertThat(bench.unmap(domain, spot.iova(), count * size)).isEqualTo(count * size);
        }
        // A run over the end of a table, looked at from its last page on.
        long boundary = bench.iova() + bench.tableSpan();
        for (int i = -3; i < 3; i++) {
            bench.assertBlocked(boundary + i * page);
        }
        bench.map(domain, boundary - 3 * page, bench.scratch(), page, 6, READ_WRITE);
        for (int i = 2; i >= -3; i--) {
            bench.assertReaches(boundary + i * page, bench.scratch() + (3 + i) * page);
        }
    }

    @Test
    @NeedsAbility(Ability.NEGATIVE_CACHE)
    @Promise("sync-map-1")
    void aNewPageIsRefusedUntilSyncMapWhereTheUnitRemembersThatItWasAbsent(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        long page = bench.granule();
        bench.map(domain, bench.iova() + 9 * page, bench.scratch());
        for (int count : new int[] {1, 2, 3, 8}) {
            for (int i = 0; i < count; i++) {
                bench.assertBlocked(bench.iova() + i * page);
                bench.assertBlocked(other, bench.iova() + i * page);
            }
            bench.mapOnly(domain, bench.iova(), bench.scratch(), page, count, READ_WRITE);
            // Otherwise syncMap would be tested on nothing.
            bench.assertBlocked(bench.iova() + (count - 1) * page);
            domain.syncMap(bench.iova(), count * page);
            for (int i = count - 1; i >= 0; i--) {
                bench.assertReaches(bench.iova() + i * page, bench.scratch() + i * page);
                bench.assertReaches(other, bench.iova() + i * page, bench.scratch() + i * page);
            }
            assertThat(bench.unmap(domain, bench.iova(), count * page)).isEqualTo(count * page);
        }
    }

    @Test
    @NeedsAbility({Ability.NEGATIVE_CACHE, Ability.COMPLETION})
    @Promise("sync-map-2")
    void aSyncMapThatDoesNotCompleteBreaksTheUnitAndKeepsTheEntries(Bench whole) {
        Silence silence = new Silence();
        Bench bench = whole.on(silence::in);
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        bench.map(domain, bench.iova() + 4 * page, bench.scratch());
        bench.mapOnly(domain, bench.iova(), bench.scratch(), page, 3, READ_WRITE);

        silence.during(() -> assertRefused(NOT_COMPLETED, () -> domain.syncMap(bench.iova(), 3 * page)));

        for (int i = 0; i < 3; i++) {
            assertThat(domain.translate(bench.iova() + i * page)).isEqualTo(bench.scratch() + i * page);
        }
        assertThat(domain.translate(bench.iova() + 4 * page)).isEqualTo(bench.scratch());
        assertRefused(NOT_COMPLETED, () -> domain.syncMap(bench.iova(), page));
        assertRefused(Errno.EADDRINUSE, () -> domain.map(bench.iova(), bench.scratch(), page, 1, READ_WRITE));
        assertRefused(NOT_COMPLETED, () -> domain.detach(bench.device()));
    }

    @Test
    @Promise({"map-13", "sync-map-3"})
    void aClosedDomainMapsNothing(Bench bench) {
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        bench.detach(domain, bench.device());
        domain.close();
        long frames = bench.framesInUse();
        for (int round = 0; round < 2; round++) {
            assertRefused(
                    Errno.ENODEV, () -> domain.map(bench.iova(), bench.scratch(), bench.granule(), 1, READ_WRITE));
            assertRefused(Errno.ENODEV, () -> domain.map(0, bench.scratch(), bench.granule(), 2, Prot.READ));
            assertRefused(Errno.ENODEV, () -> domain.syncMap(bench.iova(), bench.granule()));
            assertRefused(Errno.ENODEV, () -> domain.syncMap(0, 0));
        }
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        IommuDomain blocked = bench.iommu().allocate(DomainType.BLOCKED, bench.device());
        blocked.close();
        assertRefused(Errno.ENODEV, () -> blocked.map(0, 0, bench.granule(), 1, READ_WRITE));
        assertRefused(Errno.ENODEV, () -> blocked.syncMap(0, bench.granule()));
    }
}
