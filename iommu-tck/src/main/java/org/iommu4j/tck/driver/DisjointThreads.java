// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Requester;
import org.jspecify.annotations.Nullable;

/**
 * Threads map, unmap and let devices work in one domain, each in ranges of its own that share tables with the others'.
 * Each thread compares all with its own model, by a device of its own where there is one.
 *
 * <p>{@code -Diommu4j.tck.rounds=N} makes it longer.
 */
final class DisjointThreads {
    private static final int THREADS = 3;
    private static final int ROUNDS = Integer.getInteger("iommu4j.tck.rounds", 150);

    /** Pages of one thread in a table. */
    private static final int SHARE = 40;

    private static final int TABLES = 4;

    private DisjointThreads() {}

    static void run(Bench bench, IommuDomain domain) throws Exception {
        long frames = bench.framesInUse();
        bench.map(domain, bench.iova() + 7 * bench.tableSpan(), bench.scratch());
        Requester second = Mapped.attachSecond(bench, domain);
        ExecutorService threads = Executors.newFixedThreadPool(THREADS);
        long seed = bench.random().nextLong();
        CyclicBarrier start = new CyclicBarrier(THREADS);
        List<Future<Integer>> results = new ArrayList<>();
        for (int thread = 0; thread < THREADS; thread++) {
            // Whoever has no device to itself looks at translations only.
            @Nullable
            Requester who =
                    thread == 0 ? bench.requester() : thread == 1 && second != bench.requester() ? second : null;
            results.add(threads.submit(new Worker(bench, domain, who, thread, seed + thread, start)));
        }
        threads.shutdown();
        for (Future<Integer> result : results) {
            assertThat(result.get(60, TimeUnit.SECONDS)).as("rounds").isEqualTo(ROUNDS);
        }
        assertThat(domain.translate(bench.iova() + 7 * bench.tableSpan())).isEqualTo(bench.scratch());
        domain.detach(bench.device());
        if (second != bench.requester()) {
            domain.detach(bench.second());
        }
        domain.close();
        assertThat(bench.framesInUse()).as("frames in use").isLessThanOrEqualTo(frames);
    }

    private record Worker(
            Bench bench, IommuDomain domain, @Nullable Requester who, int thread, long seed, CyclicBarrier start)
            implements Callable<Integer> {
        @Override
        public Integer call() throws Exception {
            Random random = new Random(seed);
            IotlbGather gather = new IotlbGather();
            boolean[] mapped = new boolean[TABLES * SHARE];
            start.await(60, TimeUnit.SECONDS);
            int rounds = 0;
            while (rounds < ROUNDS) {
                int from = random.nextInt(mapped.length);
                int most = random.nextInt(3) == 0 ? SHARE : 6;
                int end = Math.min(from + 1 + random.nextInt(most), from - from % SHARE + SHARE);
                int next = from;
                boolean was = mapped[from];
                while (next < end && mapped[next] == was) {
                    next++;
                }
                long size = (next - from) * bench.granule();
                if (was) {
                    assertThat(domain.unmap(iova(from), size, gather))
                            .as("bytes unmapped by thread %d", thread)
                            .isEqualTo(size);
                    domain.sync(gather);
                } else {
                    domain.map(iova(from), physical(from), bench.granule(), next - from, READ_WRITE);
                    domain.syncMap(iova(from), size);
                }
                for (int page = from; page < next; page++) {
                    mapped[page] = !was;
                    check(page, mapped[page]);
                }
                int other = random.nextInt(mapped.length);
                check(other, mapped[other]);
                rounds++;
            }
            for (int page = 0; page < mapped.length; page++) {
                check(page, mapped[page]);
            }
            return rounds;
        }

        private void check(int page, boolean isMapped) {
            assertThat(domain.translate(iova(page)))
                    .as("thread %d, page %d", thread, page)
                    .isEqualTo(isMapped ? physical(page) : IommuDomain.UNMAPPED);
            if (who == null) {
                return;
            }
            long token = seed ^ page;
            if (isMapped) {
                bench.machine().memory(0).store(physical(page), token);
            }
            long read = who.read(iova(page), false);
            assertThat(who.status() == RequestStatus.TRANSLATION_FAULT)
                    .as("thread %d: page %d is refused", thread, page)
                    .isEqualTo(!isMapped);
            if (isMapped) {
                assertThat(read).as("thread %d reads page %d", thread, page).isEqualTo(token);
            }
        }

        private long iova(int page) {
            long inTable = (long) thread * SHARE + page % SHARE;
            return bench.iova() + page / SHARE * bench.tableSpan() + inTable * bench.granule();
        }

        private long physical(int page) {
            return bench.scratch() + (thread * TABLES * SHARE + page) * bench.granule();
        }
    }
}
