// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.iommufd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.jspecify.annotations.Nullable;

/**
 * Runs an operation with the n-th call of a port failing, for n from 1 until the operation has no more such calls.
 *
 * <p>A failure by which a unit did not answer counts as lost: pages and tables then stay, since devices may use them.
 */
final class EveryFailure {
    private static final long MOST = 5000;

    /** What an operation is run on; each run gets a new one. */
    interface Bench {
        /** Returns the machine, and where failures are injected. */
        IommufdBench host();

        /** Returns all that a caller and a device can see. */
        String state();

        /** Closes everything, whatever fails. */
        void closeAll();
    }

    /** An operation, after what prepares it, which does not fail. */
    interface Operation<B extends Bench> {
        /** Comes before what can fail. */
        default void prepare(B bench) {}

        /** What can fail. */
        void run(B bench);
    }

    private EveryFailure() {}

    /** Makes an operation that something prepares. */
    static <B extends Bench> Operation<B> prepared(Consumer<B> prepare, Consumer<B> run) {
        return new Operation<>() {
            @Override
            public void prepare(B bench) {
                prepare.accept(bench);
            }

            @Override
            public void run(B bench) {
                run.accept(bench);
            }
        };
    }

    /**
     * A call that is refused has changed nothing and works when it is made again; a call that is not refused did its
     * work. In the end nothing is pinned or charged, and as many frames are in use as without a failure.
     *
     * @return in how many places it can fail
     */
    static <B extends Bench> long changesNothing(String name, Supplier<B> benches, Operation<B> operation) {
        B whole = benches.get();
        operation.prepare(whole);
        String before = whole.state();
        operation.run(whole);
        String after = whole.state();
        long frames = framesAfter(whole);
        for (long n = 1; ; n++) {
            B bench = benches.get();
            operation.prepare(bench);
            bench.state();
            RuntimeException failure = runWith(bench, n, () -> operation.run(bench));
            String when = name + ", failure " + n;
            assertThat(n).as(when).isLessThan(MOST);
            if (failure != null && isLost(failure)) {
                continue;
            }
            if (failure != null) {
                assertThat(bench.state()).as(when).isEqualTo(before);
                operation.run(bench);
            }
            assertThat(bench.state()).as(when).isEqualTo(after);
            boolean fired = bench.host().failures.fired();
            try {
                assertThat(framesAfter(bench)).as("%s: frames", when).isEqualTo(frames);
            } catch (IommuException broken) {
                // The call was done, and its unit says later that it did not answer a part that Linux ignores.
                assertThat(failure == null && fired && isLost(broken)).as(when).isTrue();
            }
            if (!fired) {
                return n - 1;
            }
        }
    }

    /**
     * What Linux's callers can't undo is done, whatever fails.
     *
     * @return in how many places something can fail
     */
    static <B extends Bench> long goes(String name, Supplier<B> benches, Operation<B> operation) {
        B whole = benches.get();
        operation.prepare(whole);
        whole.state();
        operation.run(whole);
        String after = whole.state();
        long frames = framesAfter(whole);
        for (long n = 1; ; n++) {
            B bench = benches.get();
            operation.prepare(bench);
            bench.state();
            RuntimeException failure = runWith(bench, n, () -> operation.run(bench));
            String when = name + ", failure " + n;
            assertThat(n).as(when).isLessThan(MOST);
            boolean lost = failure != null;
            if (lost) {
                assertThat(isLost(failure)).as("%s: %s", when, failure).isTrue();
            } else {
                assertThat(bench.state()).as(when).isEqualTo(after);
            }
            try {
                bench.closeAll();
            } catch (IommuException later) {
                assertThat(lost).as(when).isTrue();
            }
            if (!lost) {
                assertThat(bench.host().process.charged()).as(when).isZero();
                assertThat(bench.host().process.pinned()).as(when).isZero();
                assertThat(bench.host().machine.frames().inUse())
                        .as("%s: frames", when)
                        .isEqualTo(frames);
            }
            if (!bench.host().failures.fired()) {
                return n - 1;
            }
        }
    }

    private static @Nullable RuntimeException runWith(Bench bench, long n, Runnable operation) {
        bench.host().failures.arm(n);
        try {
            operation.run();
            return null;
        } catch (IommuException thrown) {
            return thrown;
        } finally {
            bench.host().failures.disarm();
        }
    }

    private static long framesAfter(Bench bench) {
        bench.closeAll();
        assertThat(bench.host().process.pinned()).isZero();
        assertThat(bench.host().process.charged()).isZero();
        assertThat(bench.host().account.charged()).isZero();
        return bench.host().machine.frames().inUse();
    }

    /** Runs all, and throws the last failure. */
    static void runAll(List<Runnable> steps) {
        RuntimeException failure = null;
        for (Runnable each : steps) {
            try {
                each.run();
            } catch (IommuException lost) {
                failure = lost;
            }
        }
        if (failure != null) {
            throw failure;
        }
    }

    /** Returns whether a unit did not answer, in which case it is broken and what devices may use stays. */
    static boolean isLost(Throwable failure) {
        if (failure instanceof IommuException refusal
                && (refusal.errno() == Errno.ETIMEDOUT || refusal.errno() == Errno.EIO)) {
            return true;
        }
        for (Throwable second : failure.getSuppressed()) {
            if (isLost(second)) {
                return true;
            }
        }
        return false;
    }
}
