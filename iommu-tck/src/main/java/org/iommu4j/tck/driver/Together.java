// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.IntFunction;

/** Threads that begin at the same time. */
final class Together {
    private static final int SECONDS = 60;

    private final int threads;

    Together(int threads) {
        this.threads = threads;
    }

    /**
     * Runs something in each thread, and returns the different objects that they returned.
     *
     * @throws AssertionError what the first thread that failed threw, or when one did not come to an end
     */
    <T> Set<T> all(IntFunction<T> work) {
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        CyclicBarrier start = new CyclicBarrier(threads);
        try {
            List<Future<T>> futures = new ArrayList<>();
            for (int i = 0; i < threads; i++) {
                int thread = i;
                futures.add(pool.submit(() -> {
                    start.await(SECONDS, TimeUnit.SECONDS);
                    return work.apply(thread);
                }));
            }
            Set<T> results = Collections.newSetFromMap(new IdentityHashMap<>());
            for (Future<T> future : futures) {
                results.add(future.get(SECONDS, TimeUnit.SECONDS));
            }
            return results;
        } catch (ExecutionException | TimeoutException e) {
            throw new AssertionError("a thread of " + threads + " failed: " + e.getCause(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted while threads were waited for", e);
        } finally {
            pool.shutdownNow();
        }
    }
}
