// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.capability.DirtyTracking;
import org.iommu4j.device.DeviceId;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link DirtyTracking}. */
@NeedsAbility(Ability.DIRTY_TRACKING)
public abstract class DirtyTrackingContract {
    private static final EnumSet<Errno> NOT_COMPLETED = EnumSet.of(Errno.ETIMEDOUT, Errno.EIO);
    private static final int PAGES = 200;

    /** Made by JUnit. */
    protected DirtyTrackingContract() {}

    /** A domain of the first device, and of the second if it is let in, with pages to write. */
    private static final class Recorded {
        final Bench bench;
        final IommuDomain domain;
        final DirtyTracking tracking;
        final long page;
        final boolean both;

        Recorded(Bench bench, boolean both) {
            this.bench = bench;
            page = bench.granule();
            domain = bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(DomainFlag.DIRTY_TRACKING));
            bench.map(domain, bench.iova(), bench.scratch(), page, PAGES, READ_WRITE);
            bench.attach(domain, bench.device());
            this.both = both && domain.attach(bench.second()).attached();
            tracking = domain.dirtyTracking().orElseThrow();
        }

        void record(boolean enabled) {
            bench.steps().note("setDirtyTracking(%s)", enabled);
            tracking.setDirtyTracking(enabled);
        }

        long at(int number) {
            return bench.iova() + number * page;
        }

        void write(int number) {
            write(bench.requester(), at(number));
        }

        void writeBySecond(int number) {
            write(both ? bench.secondRequester() : bench.requester(), at(number));
        }

        void write(Requester who, long iova) {
            bench.steps().note("device writes at 0x%x", iova);
            assertThat(who.write(iova, iova ^ 5, false))
                    .as("a write at 0x%x", iova)
                    .isTrue();
        }

        DirtyBitmap bitmap(int first, int count) {
            return new DirtyBitmap(at(first), page, count);
        }

        void read(DirtyBitmap bitmap, boolean clear) {
            bench.steps().note("readAndClearDirty(0x%x, 0x%x, %s)", bitmap.start(), bitmap.size(), clear);
            tracking.readAndClearDirty(bitmap, clear);
        }

        /** A broken unit does not confirm that. */
        void detach() {
            Detaching.quietly(domain, bench);
            Errnos.of(() -> domain.detach(bench.second()));
        }

        void clear() {
            read(bitmap(0, PAGES), true);
        }

        Set<Integer> read(int first, int count, boolean clear) {
            DirtyBitmap bitmap = bitmap(first, count);
            read(bitmap, clear);
            Set<Integer> marked = new TreeSet<>();
            for (int i = 0; i < PAGES; i++) {
                if (bitmap.isMarked(at(i))) {
                    marked.add(i);
                }
            }
            assertThat(bitmap.count()).as("marks in a range that is all mapped").isEqualTo(marked.size());
            return marked;
        }

        void assertWritten(boolean clear, Integer... pages) {
            assertThat(read(0, PAGES, clear)).as("written pages").containsExactlyInAnyOrder(pages);
        }
    }

    private static Recorded recording(Bench bench) {
        Recorded recorded = new Recorded(bench, true);
        recorded.record(true);
        recorded.clear();
        return recorded;
    }

    // Starting and stopping.

    @Test
    @Promise("set-dirty-1")
    void everyDeviceIsRecordedFromTheStartToTheStop(Bench bench) {
        Recorded recorded = new Recorded(bench, true);
        // Known to units and devices before anybody records.
        for (int i = 0; i < 12; i++) {
            recorded.write(i);
            recorded.writeBySecond(i);
        }
        for (int round = 0; round < 3; round++) {
            recorded.record(true);
            recorded.clear();
            recorded.write(round);
            recorded.assertWritten(true, round);
            recorded.writeBySecond(3 + round);
            recorded.assertWritten(true, 3 + round);
            recorded.write(6);
            recorded.writeBySecond(7);
            recorded.assertWritten(true, 6, 7);
            recorded.record(false);
            recorded.write(8);
            recorded.writeBySecond(9);
            recorded.record(true);
            recorded.assertWritten(false);
            recorded.record(false);
        }
    }

    @Test
    @Promise("set-dirty-1")
    void devicesThatComeLaterAreRecordedAsWell(Bench bench) {
        Recorded recorded = new Recorded(bench, false);
        recorded.domain.detach(bench.device());
        recorded.record(true);
        recorded.clear();
        List<IommuDevice> inside = new ArrayList<>();
        int number = 0;
        for (DeviceId id : bench.ids()) {
            IommuDevice device = bench.probe(id);
            if (recorded.domain.attach(device).attached()) {
                inside.add(device);
                recorded.write(Requester.of(bench.machine(), id), recorded.at(number));
                recorded.assertWritten(true, number++);
            }
        }
        assertThat(inside).isNotEmpty();
        // Away and back again, by way of another domain.
        IommuDomain other = bench.attached();
        bench.attach(recorded.domain, bench.device());
        recorded.write(20);
        recorded.assertWritten(true, 20);
        inside.forEach(recorded.domain::detach);
        recorded.assertWritten(true);
        bench.attach(recorded.domain, bench.device());
        recorded.write(21);
        recorded.assertWritten(true, 21);
        other.close();
        // Nobody is recorded who comes after the stop.
        recorded.domain.detach(bench.device());
        recorded.record(false);
        bench.attach(recorded.domain, bench.device());
        recorded.write(22);
        recorded.record(true);
        recorded.assertWritten(true);
    }

    @Test
    @Promise("set-dirty-2")
    void startingClearsNothing(Bench bench) {
        Recorded recorded = recording(bench);
        for (int i : new int[] {0, 5, 63, 64, PAGES - 1}) {
            recorded.write(i);
        }
        recorded.writeBySecond(77);
        for (int round = 0; round < 2; round++) {
            recorded.record(false);
            recorded.record(true);
            recorded.assertWritten(false, 0, 5, 63, 64, 77, PAGES - 1);
        }
        recorded.record(false);
        recorded.domain.detach(bench.device());
        recorded.record(true);
        bench.attach(recorded.domain, bench.device());
        recorded.assertWritten(true, 0, 5, 63, 64, 77, PAGES - 1);
        recorded.assertWritten(true);
    }

    @Test
    @Promise("set-dirty-3")
    void askingForWhatIsThereChangesNothing(Bench bench) {
        Recorded recorded = new Recorded(bench, true);
        recorded.record(false);
        assertRefused(Errno.EINVAL, () -> recorded.read(recorded.bitmap(0, 1), false));
        recorded.record(true);
        recorded.clear();
        recorded.write(3);
        recorded.record(true);
        recorded.record(true);
        recorded.assertWritten(false, 3);
        recorded.writeBySecond(4);
        recorded.record(true);
        recorded.assertWritten(true, 3, 4);
        recorded.record(true);
        recorded.write(5);
        recorded.writeBySecond(6);
        recorded.assertWritten(false, 5, 6);
        // One stop undoes any number of starts.
        recorded.record(false);
        assertRefused(Errno.EINVAL, () -> recorded.read(recorded.bitmap(0, 1), false));
        recorded.record(false);
        recorded.record(false);
        assertRefused(Errno.EINVAL, () -> recorded.read(recorded.bitmap(0, 1), false));
        recorded.record(true);
        recorded.assertWritten(false, 5, 6);
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("set-dirty-4")
    void aUnitThatDoesNotAnswerIsTold(Bench whole) {
        for (boolean start : new boolean[] {true, false}) {
            Ports.Silencer unit = new Ports.Silencer();
            Recorded recorded = new Recorded(whole.on(unit::apply), true);
            recorded.write(1);
            recorded.record(!start);
            recorded.write(2);
            unit.during(() -> assertRefused(NOT_COMPLETED, () -> recorded.record(start)));
            if (start) {
                assertRefused(Errno.EINVAL, () -> recorded.read(recorded.bitmap(0, 1), false));
            } else {
                recorded.write(3);
                assertThat(recorded.read(0, PAGES, false)).contains(2, 3);
            }
        }
    }

    @Test
    @Promise("set-dirty-4")
    void startingAndStoppingEndsInNothingButATimeOut(Bench whole) {
        for (boolean start : new boolean[] {true, false}) {
            new EachFailure(whole).of(NOT_COMPLETED, bench -> {
                Recorded recorded = new Recorded(bench, true);
                recorded.record(!start);
                recorded.write(2);
                return new EachFailure.Attempt() {
                    @Override
                    public void run() {
                        recorded.record(start);
                    }

                    @Override
                    public void assertDone() {
                        assertState(start);
                    }

                    @Override
                    public void assertFailed(Errno errno) {
                        assertState(!start);
                    }

                    @Override
                    public void leave() {
                        recorded.detach();
                    }

                    private void assertState(boolean on) {
                        if (on) {
                            recorded.write(3);
                            recorded.writeBySecond(4);
                            assertThat(recorded.read(0, PAGES, false)).contains(3, 4);
                        } else {
                            assertRefused(Errno.EINVAL, () -> recorded.read(recorded.bitmap(0, 1), false));
                        }
                    }
                };
            });
        }
    }

    @Test
    @Promise({"set-dirty-5", "read-dirty-8"})
    void aClosedDomainRecordsNothing(Bench bench) {
        for (boolean on : new boolean[] {false, true}) {
            Recorded recorded = new Recorded(bench, true);
            recorded.record(on);
            recorded.write(1);
            recorded.domain.detach(bench.device());
            if (recorded.both) {
                recorded.domain.detach(bench.second());
            }
            recorded.domain.close();
            for (boolean flag : new boolean[] {false, true}) {
                assertRefused(Errno.ENODEV, () -> recorded.record(flag));
                DirtyBitmap bitmap = recorded.bitmap(0, 8);
                assertRefused(Errno.ENODEV, () -> recorded.read(bitmap, flag));
                assertThat(bitmap.count()).isZero();
            }
        }
    }

    // Reading.

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
        Ports.Silencer unit = new Ports.Silencer();
        Recorded recorded = new Recorded(whole.on(unit::apply), true);
        recorded.record(true);
        recorded.clear();
        recorded.write(5);
        recorded.write(9);
        DirtyBitmap bitmap = recorded.bitmap(0, PAGES);
        unit.during(() -> assertRefused(NOT_COMPLETED, () -> recorded.read(bitmap, true)));
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
