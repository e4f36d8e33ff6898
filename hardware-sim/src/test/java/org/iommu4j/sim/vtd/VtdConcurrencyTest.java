// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLongArray;
import org.iommu4j.sim.spi.Translation;
import org.junit.jupiter.api.Test;

/**
 * Two threads translate while a third remaps pages and invalidates them.
 *
 * <p>Page i is mapped to frame 16 * version + i. A version may be seen only from when it is written to the table until
 * the invalidation after the next one completes.
 */
class VtdConcurrencyTest {
    private static final int PAGES = 16;
    private static final long FIRST = Bench.IOVA - 0x1000; // index 0 at level 1

    /**
     * A page's frame is its version times {@link #PAGES}: half of what reaches the interrupt range, which is refused.
     */
    private static final int MAX_REMAPS = 500_000;

    @Test
    void noTranslationIsOlderThanTheLastCompletedInvalidation() throws Exception {
        long seed = System.nanoTime();
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC).tables();
        AtomicLongArray oldest = new AtomicLongArray(PAGES);
        AtomicLongArray newest = new AtomicLongArray(PAGES);
        for (int page = 0; page < PAGES; page++) {
            bench.put(Bench.L1 + 8L * page, ((long) page << 12) | 3);
        }
        bench.on();
        AtomicBoolean stop = new AtomicBoolean();
        ExecutorService threads = Executors.newFixedThreadPool(2);
        try {
            Future<Long> first = threads.submit(() -> translate(bench, oldest, newest, stop, new Random(seed)));
            Future<Long> second = threads.submit(() -> translate(bench, oldest, newest, stop, new Random(seed + 1)));
            Random random = new Random(seed + 2);
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(1);
            long remapped = 0;
            while (remapped < MAX_REMAPS && System.nanoTime() < end && !first.isDone() && !second.isDone()) {
                int page = random.nextInt(PAGES);
                long version = newest.get(page) + 1;
                newest.set(page, version);
                bench.put(Bench.L1 + 8L * page, ((version * PAGES + page) << 12) | 3);
                switch (random.nextInt(8)) {
                    case 0 -> bench.invalidate(0x12, 0);
                    case 1 -> bench.invalidate(0x50022, 0);
                    case 2 -> bench.invalidate(0x50032, (Bench.IOVA & (-1L << 21)) | 9);
                    case 3 -> {
                        bench.invalidate(0x11, 0);
                        bench.invalidate(0x50032, FIRST + ((long) page << 12));
                    }
                    default -> bench.invalidate(0x50032, FIRST + ((long) page << 12));
                }
                oldest.set(page, version);
                remapped++;
            }
            stop.set(true);
            assertThat(first.get()).as("seed " + seed).isPositive();
            assertThat(second.get()).as("seed " + seed).isPositive();
            assertThat(remapped).isPositive();
            assertThat(bench.recordedReasons()).isEmpty();
        } finally {
            stop.set(true);
            threads.shutdown();
        }
    }

    private static long translate(
            Bench bench, AtomicLongArray oldest, AtomicLongArray newest, AtomicBoolean stop, Random random) {
        long count = 0;
        while (!stop.get()) {
            int page = random.nextInt(PAGES);
            long low = oldest.get(page);
            long translation = bench.read(FIRST + ((long) page << 12));
            long high = newest.get(page);
            assertThat(Translation.isFault(translation)).isFalse();
            long frame = Translation.address(translation) >>> 12;
            assertThat(frame % PAGES).as("page").isEqualTo(page);
            assertThat(frame / PAGES).as("version of page " + page).isBetween(low, high);
            count++;
        }
        return count;
    }
}
