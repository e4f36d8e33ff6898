// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.iommufd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.intel.conformance.IntelMachines;
import org.iommu4j.intel.nesting.FirstStageInvalidation;
import org.iommu4j.intel.nesting.FirstStageTable;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.iommufd.DirtyRange;
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.IoasCopy;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdAccess;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Threads map, unmap, copy, pin, attach, replace, detach, make HWPTs, and open and close devices: no page stays pinned
 * or charged that is not mapped, and none is lost that is.
 *
 * <p>Each thread makes a number of rounds, or with {@code -Diommu4j.stressSeconds=60} as many as it can in that time.
 */
class IommufdStressTest {
    private static final long PAGE = IommufdBench.PAGE;
    private static final int MAPPERS = 3;
    private static final int ROUNDS = 300;
    private static final int PAGES = 64;
    private static final int FLAGS = IoasMap.FIXED_IOVA | IoasMap.READABLE | IoasMap.WRITEABLE;

    private final long seconds = Long.getLong("iommu4j.stressSeconds", 0);
    private final long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
    private final LongAdder rounds = new LongAdder();

    private boolean goesOn(int round) {
        rounds.increment();
        return seconds == 0 ? round < ROUNDS : System.nanoTime() - end < 0;
    }

    @ParameterizedTest
    @CsvSource({"intel-mixed, 6.12", "intel-mixed, 7.3", "amd, 7.3"})
    void noPinIsLostOrLeaked(String machine, String release)
            throws InterruptedException, ExecutionException, TimeoutException {
        IommufdBench bench = new IommufdBench(IommufdBench.named(machine), release, PAGES);
        Iommufd iommufd = bench.open();
        int[] ioas = {iommufd.ioasAlloc(0), iommufd.ioasAlloc(0)};
        List<Work> works = new ArrayList<>();
        for (int mapper = 0; mapper < MAPPERS; mapper++) {
            long window = (mapper + 1L) << 30;
            works.add((random, round) -> mapAndUnmap(iommufd, ioas, window, random));
        }
        VfioDeviceFile first = bench.file(bench.first);
        int firstId = first.bind(iommufd);
        works.add((random, round) -> move(iommufd, first, firstId, ioas, random));
        works.add((random, round) -> openAndClose(bench, iommufd, ioas, random));
        Object pinning = new Object();
        IommufdAccess access = iommufd.createAccess(
                (iova, length) -> {
                    synchronized (pinning) {
                        // Whoever pins has unpinned.
                        rounds.increment();
                    }
                },
                true);
        access.attach(ioas[0]);
        works.add((random, round) -> {
            synchronized (pinning) {
                pin(access, random);
            }
        });

        run(works);

        first.attach(ioas[0]);
        long pages = 0;
        for (int mapper = 0; mapper < MAPPERS; mapper++) {
            long iova = (mapper + 1L) << 30;
            iommufd.ioasMap(new IoasMap(FLAGS, ioas[0], IommufdBench.MEMORY + mapper * PAGE, 8 * PAGE, iova));
            pages += 8;
            assertThat(bench.read(IommufdBench.FIRST, iova + 7 * PAGE))
                    .isEqualTo(IommufdBench.MEMORY + (mapper + 7) * PAGE);
        }
        assertThat(bench.process.pinned()).isEqualTo(pages);
        assertThat(bench.account.charged()).isEqualTo(pages);
        assertThat(iommufd.ioasUnmap(ioas[0], 0, -1L)).isEqualTo(pages * PAGE);
        assertThat(bench.process.pinned()).isZero();
        assertThat(iommufd.ioasUnmap(ioas[1], 0, -1L)).isZero();
        access.close();
        first.close();
        iommufd.close();
        assertThat(iommufd.objects()).isZero();
        assertThat(bench.process.pinned()).isZero();
        assertThat(bench.account.charged()).isZero();
        System.out.printf("%s %s: %d rounds%n", machine, release, rounds.sum());
    }

    /** Records are read and guests' invalidations passed on while HWPTs come and go. */
    @Test
    void noCallMeetsAHwptThatIsGone() throws InterruptedException, ExecutionException, TimeoutException {
        IommufdBench bench = new IommufdBench(IntelMachines.withEverything(), "7.3", 8);
        Iommufd iommufd = bench.open();
        VfioDeviceFile file = bench.file(bench.first);
        int device = file.bind(iommufd);
        int ioas = iommufd.ioasAlloc(0);
        iommufd.ioasMap(new IoasMap(FLAGS, ioas, IommufdBench.MEMORY, 4 * PAGE, 1 << 20));
        int parent = iommufd.hwptAlloc(new HwptAlloc(HwptAlloc.NEST_PARENT, device, ioas));
        AtomicInteger recording = new AtomicInteger();
        AtomicInteger nested = new AtomicInteger();
        FirstStageInvalidation all = new FirstStageInvalidation(0, FirstStageInvalidation.ALL_PAGES, false);

        run(List.of(
                (random, round) -> {
                    recording.set(iommufd.hwptAlloc(new HwptAlloc(HwptAlloc.DIRTY_TRACKING, device, ioas)));
                    destroy(iommufd, recording.get());
                },
                (random, round) -> {
                    nested.set(iommufd.hwptAlloc(new HwptAlloc(
                            0, device, parent, HwptAlloc.DATA_VTD_S1, new FirstStageTable(1 << 20, 48, 0), 0)));
                    destroy(iommufd, nested.get());
                },
                (random, round) -> missing(() -> iommufd.hwptSetDirtyTracking(
                        recording.get(), random.nextBoolean() ? Iommufd.DIRTY_TRACKING_ENABLE : 0)),
                (random, round) -> missing(
                        () -> iommufd.hwptGetDirtyBitmap(new DirtyRange(recording.get(), 0, 1 << 20, 4 * PAGE, PAGE))),
                (random, round) -> missing(() -> iommufd.hwptInvalidate(nested.get(), 24, List.of(all)))));

        file.close();
        iommufd.close();
        assertThat(iommufd.objects()).isZero();
        assertThat(bench.process.pinned()).isZero();
    }

    /** Ids are used again, so that a call may also meet a HWPT of the other kind. */
    private static void missing(Runnable call) {
        try {
            call.run();
        } catch (IommuException refusal) {
            assertThat(refusal.errno()).isIn(Errno.ENOENT, Errno.EOPNOTSUPP, Errno.EINVAL);
        }
    }

    private static void destroy(Iommufd iommufd, int id) {
        while (true) {
            try {
                iommufd.destroy(id);
                return;
            } catch (IommuException refusal) {
                assertThat(refusal.errno()).as("a call uses it").isEqualTo(Errno.EBUSY);
                Thread.onSpinWait();
            }
        }
    }

    private interface Work {
        void round(Random random, int round);
    }

    private void run(List<Work> works) throws InterruptedException, ExecutionException, TimeoutException {
        ExecutorService threads = Executors.newFixedThreadPool(works.size());
        try {
            List<Future<?>> running = new ArrayList<>();
            for (int i = 0; i < works.size(); i++) {
                Work work = works.get(i);
                Random random = new Random(i);
                running.add(threads.submit(() -> {
                    for (int round = 0; goesOn(round); round++) {
                        work.round(random, round);
                    }
                }));
            }
            for (Future<?> each : running) {
                each.get(seconds + 120, TimeUnit.SECONDS);
            }
        } finally {
            threads.shutdownNow();
        }
    }

    /** In its own window, where nobody else maps: each call has the answer that it has alone. */
    private static void mapAndUnmap(Iommufd iommufd, int[] ioas, long window, Random random) {
        int to = ioas[random.nextInt(2)];
        long size = (1 + random.nextInt(16)) * PAGE;
        long memory = IommufdBench.MEMORY + random.nextInt(PAGES - 16) * PAGE;
        iommufd.ioasMap(new IoasMap(FLAGS, to, memory, size, window));
        if (random.nextInt(3) == 0) {
            int other = ioas[random.nextInt(2)];
            iommufd.ioasCopy(new IoasCopy(FLAGS, other, to, size, window + size, window));
            assertThat(iommufd.ioasUnmap(other, window + size, size)).isEqualTo(size);
        }
        assertThat(iommufd.ioasUnmap(to, window, size)).isEqualTo(size);
    }

    private static void move(Iommufd iommufd, VfioDeviceFile file, int device, int[] ioas, Random random) {
        switch (random.nextInt(4)) {
            case 0 -> file.detach();
            case 1 -> {
                int hwpt = iommufd.hwptAlloc(new HwptAlloc(0, device, ioas[random.nextInt(2)]));
                file.attach(hwpt);
                file.attach(ioas[random.nextInt(2)]);
                iommufd.destroy(hwpt);
            }
            default -> file.attach(ioas[random.nextInt(2)]);
        }
    }

    private static void openAndClose(IommufdBench bench, Iommufd iommufd, int[] ioas, Random random) {
        VfioDeviceFile file = bench.file(bench.second);
        file.bind(iommufd);
        file.attach(ioas[random.nextInt(2)]);
        if (random.nextBoolean()) {
            file.attach(ioas[random.nextInt(2)]);
        }
        file.close();
    }

    /** What it finds mapped it pins and unpins. */
    private static void pin(IommufdAccess access, Random random) {
        long window = (1L + random.nextInt(MAPPERS)) << 30;
        try {
            access.pinPages(window, PAGE, random.nextBoolean());
        } catch (IommuException refusal) {
            assertThat(refusal.errno())
                    .as("not mapped, or about to be unmapped")
                    .isIn(Errno.ENOENT, Errno.EINVAL);
            return;
        }
        access.unpinPages(window, PAGE, true);
    }
}
