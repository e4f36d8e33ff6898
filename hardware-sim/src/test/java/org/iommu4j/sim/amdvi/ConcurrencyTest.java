// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.sim.amdvi.TestBed.DEVICE;
import static org.iommu4j.sim.amdvi.TestBed.FC;
import static org.iommu4j.sim.amdvi.TestBed.IR_IW;
import static org.iommu4j.sim.amdvi.TestBed.OTHER_DEVICE;
import static org.iommu4j.sim.amdvi.TestBed.ROOT;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.junit.jupiter.api.Test;

/** Threads that translate while one moves pages and invalidates. */
class ConcurrencyTest {
    private static final int PAGES = 4;
    private static final int MOVES = 20_000;
    private static final int READERS = 3;

    private final TestBed bed = new TestBed();
    /** How often a page was moved and its invalidation has completed. */
    private final AtomicLong[] completed = new AtomicLong[PAGES];

    private final long[] entries = new long[PAGES];
    private volatile boolean done;

    /** A page after n moves: its address says n, and FC is set in every other. */
    private static long page(long moves) {
        return moves % 1_000_000 * 0x1000 + 0x10000000L;
    }

    private void move(int page, long moves) {
        bed.memory.store(entries[page], IR_IW | ((moves & 1) != 0 ? FC : 0) | page(moves) | 1);
    }

    @Test
    void aTranslationThatStartsAfterAnInvalidationNeverSeesTheOldPage() throws Exception {
        bed.attach(DEVICE, 3);
        bed.entry(OTHER_DEVICE, IR_IW | ROOT | 3 << 9 | 3, 5);
        for (int i = 0; i < PAGES; i++) {
            completed[i] = new AtomicLong();
            // Pages 0 and 1 share a slot of the cache, as 2 and 3 do.
            entries[i] = bed.map(i / 2 * 0x1000L + i % 2 * 0x100000L, 3, 1, 1);
            move(i, 0);
        }
        ExecutorService threads = Executors.newFixedThreadPool(READERS);
        List<Future<Long>> readers = new ArrayList<>();
        for (int reader = 0; reader < READERS; reader++) {
            int device = reader == 0 ? DEVICE : OTHER_DEVICE;
            readers.add(threads.submit(() -> readUntilDone(device)));
        }

        for (int moves = 1; moves <= MOVES; moves++) {
            int page = moves % PAGES;
            long n = completed[page].get() + 1;
            move(page, n);
            long iova = page / 2 * 0x1000L + page % 2 * 0x100000L;
            bed.command(0x3000000500000000L, moves % 3 == 0 ? 0x7ffffffffffff003L : iova);
            if (moves % 16 == 0) {
                bed.command(0x2000000000000000L | OTHER_DEVICE, 0);
            }
            completed[page].set(n);
        }
        done = true;
        threads.shutdown();
        assertThat(threads.awaitTermination(30, TimeUnit.SECONDS)).isTrue();

        for (Future<Long> reader : readers) {
            assertThat(reader.get()).as("translations of a reader").isPositive();
        }
        assertThat(bed.events()).isEmpty();
    }

    private long readUntilDone(int device) {
        long count = 0;
        do {
            for (int page = 0; page < PAGES; page++) {
                long before = completed[page].get();
                long answer = bed.unit.translate(
                        device,
                        TranslationUnit.NO_PASID,
                        page / 2 * 0x1000L + page % 2 * 0x100000L,
                        RequestFlags.readOrWrite((count & 1) != 0));
                long after = completed[page].get() + 1; // the move under way may be seen already
                long moves = (Translation.address(answer) - 0x10000000L) / 0x1000;
                if (Translation.isFault(answer)
                        || moves < before
                        || moves > after
                        || Translation.snoopForced(answer) != ((moves & 1) != 0)) {
                    throw new AssertionError("page " + page + " answered " + Translation.toString(answer) + ", move "
                            + moves + ", expected " + before + " to " + after);
                }
                count++;
            }
        } while (!done);
        return count;
    }
}
