// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/** A thread for each worker, always the same one; a single worker has the caller's. */
final class Crew implements AutoCloseable {
    private final List<ExecutorService> threads = new ArrayList<>();

    Crew(int workers) {
        for (int i = 0; workers > 1 && i < workers; i++) {
            String name = "explorer-" + i;
            threads.add(Executors.newSingleThreadExecutor(task -> {
                Thread thread = new Thread(task, name);
                thread.setDaemon(true);
                return thread;
            }));
        }
    }

    /**
     * Has every worker do something, and waits until all have ended, also if one of them fails.
     *
     * @param task gets the worker's index
     * @param onInterrupt called if the waiting thread is interrupted, to shorten the wait; it stays interrupted
     * @return what each returned
     */
    <T> List<T> all(IntFunction<T> task, Runnable onInterrupt) {
        if (threads.isEmpty()) {
            return List.of(task.apply(0));
        }
        List<Future<T>> pending = new ArrayList<>();
        for (int i = 0; i < threads.size(); i++) {
            int worker = i;
            pending.add(threads.get(i).submit(() -> task.apply(worker)));
        }
        return await(pending, onInterrupt);
    }

    /** Has the first worker do something. */
    <T> T first(IntFunction<T> task) {
        return threads.isEmpty()
                ? task.apply(0)
                : await(List.of(threads.get(0).submit(() -> task.apply(0))), () -> {})
                        .get(0);
    }

    private static <T> List<T> await(List<Future<T>> pending, Runnable onInterrupt) {
        List<T> results = new ArrayList<>();
        @Nullable Throwable failure = null;
        boolean interrupted = false;
        for (int i = 0; i < pending.size(); ) {
            try {
                results.add(pending.get(i).get());
                i++;
            } catch (ExecutionException e) {
                failure = failure == null ? e.getCause() : failure;
                i++;
            } catch (InterruptedException e) {
                interrupted = true;
                onInterrupt.run();
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        if (failure instanceof Error error) {
            throw error;
        }
        if (failure instanceof RuntimeException exception) {
            throw exception;
        }
        return results;
    }

    @Override
    public void close() {
        threads.forEach(ExecutorService::shutdown);
    }
}
