// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.iommu4j.Errno;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.Subject;

/**
 * Does an operation on one fresh machine after another, and each time the next thing in it that can fail does.
 *
 * <p>After each failure: what was before stands, nothing leaked, and the next attempt succeeds, unless a unit is
 * broken.
 * Then all is closed, and only frames that are counted as quarantined are kept.
 */
final class NthFailure {
    /** For a failure that changes nothing: how often it is had again before the operation may succeed. */
    private static final int TRIES = 2;

    private final Subject subject;
    private final BiFunction<VendorContext, FailNth, VendorContext> ports;

    private NthFailure(Subject subject, BiFunction<VendorContext, FailNth, VendorContext> ports) {
        this.subject = subject.flat();
        this.ports = ports;
    }

    /** Has frames run out. */
    static NthFailure ofFrames(Subject subject) {
        return new NthFailure(subject, (context, failures) -> context.withFrames(failures.frames(context.frames())));
    }

    /** Has frames run out, waits time out and registers read all ones. */
    static NthFailure ofEveryPort(Subject subject) {
        return new NthFailure(subject, VendorContext::failing);
    }

    /** An operation on a machine of its own, whose making brought about what is to be there before. */
    interface Operation {
        /** Does it. */
        void run();

        /** Asserts that all is as if it had been done. */
        void assertDone();

        /**
         * Asserts that nothing of it was done.
         *
         * @param broken whether the unit is, so that nothing is known of what it remembers
         */
        void assertNotDone(boolean broken);

        /** Detaches and closes what there is; on a broken unit detaching may be refused. */
        void close();

        /** Returns whether it takes effect even when it fails, as what gives up something does. */
        default boolean isDoneAllTheSame() {
            return false;
        }

        /** Returns how many frames a failed try may leave for the next one, which leaves no more. */
        default long spareFrames() {
            return 0;
        }
    }

    /**
     * Has every fallible step fail once.
     *
     * @param operations makes the operation, on a fresh machine
     * @return the errnos that were seen
     */
    Set<Errno> everyStep(Function<Bench, Operation> operations) {
        return everyStep(Bench::new, operations);
    }

    /** Has every fallible step fail once, on benches that are made otherwise. */
    Set<Errno> everyStep(Function<Subject, Bench> benches, Function<Bench, Operation> operations) {
        Set<Errno> seen = EnumSet.noneOf(Errno.class);
        for (long n = 1; ; n = next(n)) {
            FailNth failures = new FailNth();
            Bench bench = benches.apply(subject.withPorts(context -> ports.apply(context, failures)));
            Operation operation = operations.apply(bench);
            String at = "failure " + n;
            long frames = bench.framesInUse();
            Optional<Errno> errno = fail(failures, operation, n);
            if (!failures.fired()) {
                assertThat(errno).as("without a failure").isEmpty();
                operation.assertDone();
                finish(bench, operation, "without a failure");
                return seen;
            }
            errno.ifPresent(seen::add);
            if (errno.isEmpty()) {
                // A failed look at a register that was looked at again.
                operation.assertDone();
            } else if (errno.get() == Errno.ENOMEM) {
                assertSurvives(bench, failures, operation, n, frames);
            } else {
                assertThat(errno.get()).as(at).isIn(Errno.ETIMEDOUT, Errno.EIO);
                assertBroken(operation, at);
            }
            finish(bench, operation, at);
        }
    }

    /** Every one of the first failures; then fewer, for the drivers that take thousands of steps. */
    static long next(long n) {
        return n < 150 ? n + 1 : n + n / 2;
    }

    private static Optional<Errno> fail(FailNth failures, Operation operation, long n) {
        failures.arm(n);
        Optional<Errno> errno = Errnos.of(operation::run);
        failures.disarm();
        return errno;
    }

    /** A failure that left the unit as it was can happen again and again, and then the operation succeeds. */
    private static void assertSurvives(Bench bench, FailNth failures, Operation operation, long n, long frames) {
        for (int i = 0; i < TRIES; i++) {
            operation.assertNotDone(false);
            assertThat(bench.framesInUse())
                    .as("frames in use after failure %d, try %d", n, i)
                    .isBetween(frames, frames + operation.spareFrames());
            Optional<Errno> again = fail(failures, operation, n);
            if (again.isEmpty()) {
                assertThat(operation.spareFrames())
                        .as("what the last try left, and served this one")
                        .isPositive();
                operation.assertDone();
                return;
            }
            if (again.get() != Errno.ENOMEM) {
                assertThat(operation.spareFrames())
                        .as("what the last try left, so that this one got further")
                        .isPositive();
                assertThat(again.get()).isIn(Errno.ETIMEDOUT, Errno.EIO);
                return;
            }
        }
        operation.assertNotDone(false);
        operation.run();
        operation.assertDone();
        assertThat(bench.iommu().quarantinedFrames()).as("quarantined frames").isZero();
    }

    private static void assertBroken(Operation operation, String at) {
        if (operation.isDoneAllTheSame()) {
            operation.assertDone();
            return;
        }
        operation.assertNotDone(true);
        assertThat(Errnos.of(operation::run)).as(at + ": again").contains(Errno.EIO);
        operation.assertNotDone(true);
    }

    private static void finish(Bench bench, Operation operation, String at) {
        operation.close();
        bench.iommu().close();
        assertThat(bench.framesInUse())
                .as(at + ": frames in use when all is closed")
                .isEqualTo(bench.iommu().quarantinedFrames());
    }
}
