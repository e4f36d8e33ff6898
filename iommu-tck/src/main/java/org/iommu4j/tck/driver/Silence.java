// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import java.util.function.BooleanSupplier;
import org.iommu4j.platform.Waiter;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Subject;

/** A machine's hardware that stops answering when it is told to: waits are time-outs, and nothing happens in them. */
final class Silence {
    private boolean silent;
    private final Bench bench;

    Silence(Subject subject) {
        bench = new Bench(subject.withPorts(context -> Ports.withWaiter(context, new SilentWaiter(context.waiter()))));
    }

    Bench bench() {
        return bench;
    }

    /** From now on nothing is answered. */
    void begin() {
        silent = true;
    }

    /** From now on all is answered again. */
    void end() {
        silent = false;
    }

    private final class SilentWaiter implements Waiter {
        private final Waiter waiter;

        private SilentWaiter(Waiter waiter) {
            this.waiter = waiter;
        }

        @Override
        public boolean await(BooleanSupplier condition, long ticks) {
            return !silent && waiter.await(condition, ticks);
        }
    }
}
