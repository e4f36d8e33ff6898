// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.math.BigDecimal;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.function.ThrowingSupplier;

/**
 * The thread that one test runs in, so that a driver that never returns fails its test and not the whole run.
 *
 * <p>A test has {@value #SECONDS} seconds, or as many as the configuration parameter or system property
 * {@value #PROPERTY} says, to the millisecond. With 0 there is no end, and the test runs in JUnit's own thread, as a
 * debugger wants it. The failure tells where the test's threads are. Java can't stop a thread that loops: it is
 * interrupted, and when it does not end by that, it is left running. With {@value #MOST_LEFT} such threads no later
 * test is run: each fails at once.
 */
final class TestThread implements AutoCloseable {
    /** How long a test may take, in seconds with up to three decimals. */
    static final String PROPERTY = "iommu4j.tck.timeout";

    private static final int SECONDS = 300;
    private static final int MOST_LEFT = 3;
    private static final int FRAMES = 60;

    /** How long a thread has to end after it was interrupted. */
    private static final int GRACE_MILLIS = 1_000;

    private static final Namespace THREADS = Namespace.create(TestThread.class);
    /** The threads of all tests and what they start. */
    private static final ThreadGroup GROUP = new ThreadGroup("iommu4j conformance kit");

    private static final Set<Thread> LEFT = ConcurrentHashMap.newKeySet();

    private final BigDecimal seconds;
    private final ExecutorService executor;
    private @Nullable Thread thread;

    private TestThread(String name, BigDecimal seconds) {
        this.seconds = seconds;
        executor = Executors.newSingleThreadExecutor(work -> {
            Thread made = new Thread(GROUP, work, name);
            made.setDaemon(true);
            thread = made;
            return made;
        });
    }

    /** Runs a part of a test in the test's thread. */
    static <T extends @Nullable Object> T call(ExtensionContext context, ThrowingSupplier<T> work) throws Throwable {
        BigDecimal seconds = seconds(context);
        if (seconds.signum() == 0) {
            return work.get();
        }
        return context.getStore(THREADS)
                .getOrComputeIfAbsent(
                        TestThread.class,
                        ignored -> new TestThread(context.getDisplayName(), seconds),
                        TestThread.class)
                .call(work);
    }

    private static BigDecimal seconds(ExtensionContext context) {
        String text = context.getConfigurationParameter(PROPERTY).orElse("" + SECONDS);
        if (!text.matches("\\d{1,9}(\\.\\d{1,3})?")) {
            throw new IllegalArgumentException(PROPERTY + " is '" + text + "', expected seconds, or 0 for no end");
        }
        return new BigDecimal(text);
    }

    private <T extends @Nullable Object> T call(ThrowingSupplier<T> work) throws Throwable {
        if (Thread.currentThread() == thread) {
            return work.get();
        }
        LEFT.removeIf(each -> !each.isAlive());
        if (LEFT.size() >= MOST_LEFT) {
            throw new AssertionError("not run: " + LEFT.size() + " tests before it still loop");
        }
        CompletableFuture<T> running = new CompletableFuture<>();
        executor.execute(() -> {
            try {
                running.complete(work.get());
            } catch (Throwable e) {
                running.completeExceptionally(e);
            }
        });
        try {
            return running.get(seconds.movePointRight(3).longValueExact(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            throw e.getCause();
        } catch (TimeoutException e) {
            throw tooLong();
        } catch (InterruptedException e) {
            executor.shutdownNow();
            throw e;
        }
    }

    /** Ends the test's thread if it can, and tells where it was. */
    private AssertionError tooLong() throws InterruptedException {
        StringBuilder message = new StringBuilder("no end within " + seconds + " s (-D" + PROPERTY + " sets this)\n");
        StackTraceElement[] at = new StackTraceElement[0];
        Thread[] threads = new Thread[GROUP.activeCount() + 16];
        int count = GROUP.enumerate(threads);
        for (int i = 0; i < count; i++) {
            if (!LEFT.contains(threads[i])) {
                StackTraceElement[] trace = threads[i].getStackTrace();
                describe(threads[i], trace, message);
                at = threads[i] == thread ? trace : at;
            }
        }
        executor.shutdownNow();
        if (executor.awaitTermination(GRACE_MILLIS, TimeUnit.MILLISECONDS)) {
            message.append("It ended when its thread was interrupted.");
        } else {
            if (thread != null) {
                LEFT.add(thread);
            }
            message.append("It did not end when its thread was interrupted: it runs on beside later tests.");
        }
        AssertionError error = new AssertionError(message.toString());
        error.setStackTrace(at);
        return error;
    }

    private static void describe(Thread thread, StackTraceElement[] trace, StringBuilder message) {
        message.append("thread \"" + thread.getName() + "\" is " + thread.getState() + '\n');
        for (int i = 0; i < Math.min(trace.length, FRAMES); i++) {
            message.append("    at ").append(trace[i]).append('\n');
        }
        if (trace.length > FRAMES) {
            message.append("    and " + (trace.length - FRAMES) + " more\n");
        }
    }

    @Override
    public void close() {
        executor.shutdown();
    }
}
