// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import org.iommu4j.Errno;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;

/**
 * Does something on one fresh machine after another, and each time the next thing in it that can fail does: a frame, a
 * wait, a register.
 */
final class EachFailure {
    private final Bench bench;

    EachFailure(Bench bench) {
        this.bench = bench;
    }

    /** Something on a machine of its own, whose making brought about what is to be there before. */
    interface Attempt {
        void run();

        /** Asserts that all is as if it had been done. */
        void assertDone();

        /** Asserts what holds after a failure. */
        void assertFailed(Errno errno);

        /** Takes out of their domains what there is; a broken unit may not confirm that. */
        void leave();
    }

    /** Has every step fail once, and returns the errnos that were seen; all others are assertion errors. */
    Set<Errno> of(Set<Errno> allowed, Function<Bench, Attempt> attempts) {
        Set<Errno> seen = EnumSet.noneOf(Errno.class);
        for (long n = 1; ; n++) {
            FailNth failures = new FailNth();
            Bench machine = bench.on(context -> context.failing(failures));
            Attempt attempt = attempts.apply(machine);
            bench.steps().note("failure %d", n);
            failures.arm(n);
            Optional<Errno> errno = Errnos.of(attempt::run);
            failures.disarm();
            if (errno.isEmpty()) {
                attempt.assertDone();
            } else {
                assertThat(errno.get()).isIn(allowed);
                seen.add(errno.get());
                attempt.assertFailed(errno.get());
            }
            attempt.leave();
            machine.iommu().close();
            assertThat(machine.framesInUse())
                    .as("frames in use when all is closed")
                    .isEqualTo(machine.iommu().quarantinedFrames());
            if (!failures.fired()) {
                return seen;
            }
        }
    }
}
