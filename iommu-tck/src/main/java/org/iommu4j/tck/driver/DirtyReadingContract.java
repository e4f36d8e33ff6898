// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.NOT_COMPLETED;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Recorded.PAGES;
import static org.iommu4j.tck.driver.Recorded.recording;

import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.capability.DirtyTracking;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.junit.jupiter.api.Test;

/** {@link DirtyTracking#readAndClearDirty}. */
@NeedsAbility(Ability.DIRTY_TRACKING)
public abstract class DirtyReadingContract {
    /** Made by JUnit. */
    protected DirtyReadingContract() {}

    @Test
    @Promise("read-dirty-1")
    void exactlyTheWrittenPagesAreMarked(Bench bench) {
        Recorded recorded = recording(bench);
        Random random = bench.random();
        for (int round = 0; round < 40; round++) {
            Set<Integer> written = new TreeSet<>();
            for (int i = random.nextInt(12); i >= 0; i--) {
                int at = random.nextInt(PAGES);
                written.add(at);
                long word = recorded.at(at) + 8L * random.nextInt((int) (recorded.page / 8));
                recorded.write(
                        recorded.both && random.nextBoolean() ? bench.secondRequester() : bench.requester(), word);
                bench.requester().read(recorded.at(random.nextInt(PAGES)), false);
            }
            assertThat(recorded.read(0, PAGES, true)).isEqualTo(written);
        }
    }

    @Test
    @Promise("read-dirty-1")
    void aBitOfALargerPageIsSetByEachOfItsSmallOnes(Bench bench) {
        Recorded recorded = recording(bench);
        recorded.write(7);
        recorded.write(8);
        recorded.write(63);
        for (int pages : new int[] {1, 2, 8, 16}) {
            DirtyBitmap bitmap = new DirtyBitmap(bench.iova(), pages * recorded.page, 64 / pages);
            recorded.read(bitmap, false);
            Set<Integer> expected =
                    Stream.of(7, 8, 63).map(page -> page / pages).collect(Collectors.toSet());
            for (int i = 0; i < 64 / pages; i++) {
                assertThat(bitmap.isMarked(bench.iova() + (long) i * pages * recorded.page))
                        .as("bit %d of %d pages each", i, pages)
                        .isEqualTo(expected.contains(i));
            }
        }
    }

    @Test
    @Promise("read-dirty-1")
    void holesAndTheEndsOfTheApertureAreReadToo(Bench bench) {
        Recorded recorded = recording(bench);
        IommuDomain domain = recorded.domain;
        long page = recorded.page;
        long last = domain.apertureEnd() - (page - 1);
        long span = bench.tableSpan();
        // Around the border of a table, with holes before and after it, and at both ends.
        long border = bench.iova() + 2 * span;
        long[] written = {domain.apertureStart(), border - page, border, border + 2 * page, last};
        for (long iova : written) {
            bench.map(domain, iova, bench.scratch());
            recorded.write(bench.requester(), iova);
        }
        recorded.write(PAGES - 1);
        DirtyBitmap around = new DirtyBitmap(border - 10 * page, page, 20);
        // What is marked already stays.
        around.mark(border + 5 * page, page);
        recorded.read(around, false);
        assertThat(around.count()).isEqualTo(4);
        assertThat(around.isMarked(border - page)).isTrue();
        assertThat(around.isMarked(border)).isTrue();
        assertThat(around.isMarked(border + 2 * page)).isTrue();
        DirtyBitmap tables = new DirtyBitmap(bench.iova(), page, 4 * (span / page));
        recorded.read(tables, false);
        assertThat(tables.count()).isEqualTo(4);
        for (long end : new long[] {domain.apertureStart(), last}) {
            DirtyBitmap one = new DirtyBitmap(end, page, 1);
            recorded.read(one, true);
            assertThat(one.count()).as("at 0x%x", end).isEqualTo(1);
            one.clear();
            recorded.read(one, true);
            assertThat(one.count()).as("at 0x%x", end).isZero();
            recorded.write(bench.requester(), end);
            recorded.read(one, false);
            assertThat(one.count()).as("at 0x%x", end).isEqualTo(1);
        }
        DirtyBitmap hole = new DirtyBitmap(border + 8 * page, page, 64);
        recorded.read(hole, true);
        assertThat(hole.count()).isZero();
        recorded.assertWritten(true, PAGES - 1);
    }

    /** Returns where pages of a size can be mapped, in tables without small ones. */
    private static long behindSmallPages(Bench bench, long size) {
        return bench.iova() + Math.max(2 * size, 4 * bench.tableSpan());
    }

    private static List<Long> largeSizes(Recorded recorded) {
        return recorded.bench.pageSizes(recorded.domain).stream()
                .filter(size -> size > recorded.page && size <= 1L << 30)
                .filter(size -> Spot.of(recorded.bench, recorded.domain, size).iova() == recorded.bench.iova())
                .filter(size -> recorded.bench.room() / 8 > size)
                .toList();
    }

    @Test
    @Promise("read-dirty-2")
    void aLargePageMarksWhatTheBitmapCoversOfIt(Bench bench) {
        Recorded recorded = recording(bench);
        long page = recorded.page;
        for (long size : largeSizes(recorded)) {
            Spot spot = Spot.of(bench, recorded.domain, size);
            long base = behindSmallPages(bench, size);
            bench.map(recorded.domain, base, spot.physicalAddress(), size, 1, READ_WRITE);
            long pages = size / page;
            long shown = Math.min(pages, 600);
            recorded.write(bench.requester(), base + spot.offset());
            long[][] ranges = {
                // First page and number of pages, from the large page's first on.
                {0, shown},
                {0, 1},
                {pages - 1, 1},
                {1, 1},
                {pages / 2, 1},
                {pages / 2, Math.min(pages / 2, 100)},
                {-1, 2},
                {-7, 9},
                {-70, 71},
                {pages - 1, 2},
                {pages - 1, 70},
                {pages - 2, 3},
                {-3, 2},
                {pages, 5},
                {-shown, 2 * shown}
            };
            for (long[] range : ranges) {
                DirtyBitmap bitmap = new DirtyBitmap(base + range[0] * page, page, range[1]);
                recorded.read(bitmap, false);
                long covered = Math.max(0, Math.min(pages, range[0] + range[1]) - Math.max(0, range[0]));
                assertThat(bitmap.count())
                        .as("marks of a page of 0x%x, from page %d on %d", size, range[0], range[1])
                        .isEqualTo(covered);
                for (long i = Math.max(0, range[0]); i < Math.min(pages, range[0] + range[1]); i++) {
                    assertThat(bitmap.isMarked(base + i * page)).isTrue();
                }
            }
            // Its neighbour is another page.
            bench.map(recorded.domain, base + size, spot.physicalAddress(), size, 1, READ_WRITE);
            DirtyBitmap next = new DirtyBitmap(base + size, page, Math.min(pages, 600));
            recorded.read(next, false);
            assertThat(next.count()).isZero();
            // Cleared as a whole, and recorded again.
            DirtyBitmap inside = new DirtyBitmap(base + (pages / 2) * page, page, 1);
            recorded.read(inside, true);
            assertThat(inside.count()).isEqualTo(1);
            recorded.write(bench.requester(), base + spot.offset());
            inside.clear();
            recorded.read(inside, true);
            assertThat(inside.count()).as("a page of 0x%x, written again", size).isEqualTo(1);
            inside.clear();
            recorded.read(inside, true);
            assertThat(inside.count()).isZero();
            bench.unmap(recorded.domain, base, 2 * size);
        }
    }

    @Test
    @Promise("read-dirty-3")
    void pagesOutsideTheRangeAreNeitherMarkedNorCleared(Bench bench) {
        Recorded recorded = recording(bench);
        int[][] ranges = {
            {4, 4}, {0, 1}, {15, 1}, {1, 14}, {63, 1}, {64, 1}, {63, 2}, {10, 100}, {PAGES - 1, 1}, {100, 64}
        };
        for (int[] range : ranges) {
            Set<Integer> all = new TreeSet<>();
            for (int i = 0; i < PAGES; i++) {
                recorded.write(i);
                all.add(i);
            }
            Set<Integer> inside = new TreeSet<>();
            for (int i = range[0]; i < range[0] + range[1]; i++) {
                inside.add(i);
            }
            assertThat(recorded.read(range[0], range[1], true)).isEqualTo(inside);
            all.removeAll(inside);
            assertThat(recorded.read(0, PAGES, true))
                    .as("the rest of %d + %d", range[0], range[1])
                    .isEqualTo(all);
        }
        // A large page beside the range, and one that is only touched by another's clearing.
        for (long size : largeSizes(recorded)) {
            Spot spot = Spot.of(bench, recorded.domain, size);
            long base = behindSmallPages(bench, size);
            bench.map(recorded.domain, base, spot.physicalAddress(), size, 1, READ_WRITE);
            bench.map(recorded.domain, base + size, spot.physicalAddress(), size, 1, READ_WRITE);
            recorded.write(bench.requester(), base + spot.offset());
            recorded.write(bench.requester(), base + size + spot.offset());
            DirtyBitmap one = new DirtyBitmap(base + size - recorded.page, recorded.page, 1);
            recorded.read(one, true);
            assertThat(one.count()).isEqualTo(1);
            DirtyBitmap other = new DirtyBitmap(base + size, recorded.page, 1);
            recorded.read(other, false);
            assertThat(other.count())
                    .as("a page of 0x%x behind the range", size)
                    .isEqualTo(1);
            recorded.read(other, true);
            recorded.write(bench.requester(), base + spot.offset());
            other.clear();
            recorded.read(other, true);
            assertThat(other.count()).isZero();
            recorded.read(one, false);
            assertThat(one.count()).as("a page of 0x%x before the range", size).isEqualTo(1);
            bench.unmap(recorded.domain, base, 2 * size);
        }
    }

    @Test
    @Promise("read-dirty-4")
    void whatWasClearedIsRecordedAgain(Bench bench) {
        Recorded recorded = recording(bench);
        for (int round = 0; round < 3; round++) {
            for (int[] range : new int[][] {{0, PAGES}, {5, 1}, {5, 2}, {60, 9}, {0, 128}, {PAGES - 3, 3}}) {
                Set<Integer> inside = new TreeSet<>();
                for (int i = range[0]; i < range[0] + range[1]; i++) {
                    inside.add(i);
                    recorded.write(i);
                    recorded.writeBySecond(i);
                }
                assertThat(recorded.read(range[0], range[1], true)).isEqualTo(inside);
                assertThat(recorded.read(0, PAGES, false)).isEmpty();
                // Each device by itself: neither the unit nor a device may hold the page as written.
                for (int i : inside) {
                    recorded.write(i);
                }
                assertThat(recorded.read(range[0], range[1], true))
                        .as("by the first device")
                        .isEqualTo(inside);
                for (int i : inside) {
                    recorded.writeBySecond(i);
                }
                assertThat(recorded.read(0, PAGES, true))
                        .as("by the second device")
                        .isEqualTo(inside);
            }
        }
        // Far apart, each cleared by one call.
        recorded.write(0);
        recorded.write(PAGES - 1);
        recorded.assertWritten(true, 0, PAGES - 1);
        recorded.write(0);
        recorded.write(PAGES - 1);
        recorded.assertWritten(true, 0, PAGES - 1);
    }

    @Test
    @Promise("read-dirty-5")
    void withoutClearingTheRecordStays(Bench bench) {
        Recorded recorded = recording(bench);
        for (int i = 0; i < PAGES; i += 3) {
            recorded.write(i);
        }
        Set<Integer> written = recorded.read(0, PAGES, false);
        assertThat(written).hasSize((PAGES + 2) / 3);
        for (int round = 0; round < 4; round++) {
            assertThat(recorded.read(0, PAGES, false)).isEqualTo(written);
            assertThat(recorded.read(round, 30, false)).isNotEmpty();
            recorded.writeBySecond(1);
            written.add(1);
        }
        assertThat(recorded.read(0, PAGES, true)).isEqualTo(written);
        assertThat(recorded.read(0, PAGES, true)).isEmpty();
    }

    @Test
    @Promise("read-dirty-6")
    void nothingIsReadWhileRecordingIsOff(Bench bench) {
        Recorded recorded = new Recorded(bench, true);
        recorded.write(1);
        for (int round = 0; round < 2; round++) {
            for (boolean clear : new boolean[] {false, true}) {
                DirtyBitmap bitmap = recorded.bitmap(0, PAGES);
                assertRefused(Errno.EINVAL, () -> recorded.read(bitmap, clear));
                assertThat(bitmap.count()).isZero();
            }
            recorded.record(true);
            recorded.clear();
            recorded.write(2);
            recorded.record(false);
            for (boolean clear : new boolean[] {true, false}) {
                DirtyBitmap bitmap = recorded.bitmap(0, PAGES);
                assertRefused(Errno.EINVAL, () -> recorded.read(bitmap, clear));
                assertThat(bitmap.count()).isZero();
            }
            recorded.record(true);
            recorded.assertWritten(true, 2);
            recorded.record(false);
        }
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("read-dirty-7")
    void clearingWhereTheUnitDoesNotAnswerFailsAndStillTells(Bench whole) {
        Silence silence = new Silence();
        Recorded recorded = new Recorded(whole.on(silence::in), true);
        recorded.record(true);
        recorded.clear();
        recorded.write(5);
        recorded.write(9);
        DirtyBitmap bitmap = recorded.bitmap(0, PAGES);
        silence.during(() -> assertRefused(NOT_COMPLETED, () -> recorded.read(bitmap, true)));
        assertThat(bitmap.count()).as("what was cleared is told").isEqualTo(2);
        assertThat(bitmap.isMarked(recorded.at(5))).isTrue();
        assertThat(bitmap.isMarked(recorded.at(9))).isTrue();
    }

    @Test
    @Promise("read-dirty-7")
    void readingEndsInNothingButATimeOut(Bench whole) {
        new EachFailure(whole).of(NOT_COMPLETED, bench -> {
            Recorded recorded = new Recorded(bench, true);
            recorded.record(true);
            recorded.clear();
            recorded.write(5);
            DirtyBitmap bitmap = recorded.bitmap(0, PAGES);
            return new EachFailure.Attempt() {
                @Override
                public void run() {
                    recorded.read(bitmap, true);
                }

                @Override
                public void assertDone() {
                    assertThat(bitmap.count()).isEqualTo(1);
                    recorded.write(5);
                    recorded.assertWritten(false, 5);
                }

                @Override
                public void assertFailed(Errno errno) {
                    assertThat(bitmap.count()).isEqualTo(1);
                }

                @Override
                public void leave() {
                    recorded.detach();
                }
            };
        });
    }
}
