// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/** Runs things beside each other. */
final class Threads {
    private Threads() {}

    /** Does something that may fail. */
    @FunctionalInterface
    interface Work {
        void run() throws Exception;
    }

    /** Starts each in a thread of its own, all at once, and throws what one of them throws. */
    static void run(Work... works) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(works.length);
        try {
            CyclicBarrier start = new CyclicBarrier(works.length);
            List<Future<Void>> running = new ArrayList<>();
            for (Work work : works) {
                running.add(threads.submit((Callable<Void>) () -> {
                    start.await();
                    work.run();
                    return null;
                }));
            }
            for (Future<Void> each : running) {
                each.get(60, TimeUnit.SECONDS);
            }
        } catch (ExecutionException e) {
            if (e.getCause() instanceof Error error) {
                throw error;
            }
            throw e;
        } finally {
            threads.shutdownNow();
        }
    }
}
