// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/** What the workers share while they expand the states of one depth. */
final class Pass {
    private final int depth;
    private final Bounds bounds;
    private final long deadline;
    private final BooleanSupplier stop;
    private final AtomicInteger expanding;
    private final AtomicReference<@Nullable Ended> stopped = new AtomicReference<>();
    private volatile boolean failed;

    /**
     * Begins a pass.
     *
     * @param deadline in the time of {@link System#nanoTime}
     */
    Pass(int depth, int workers, Bounds bounds, long deadline, BooleanSupplier stop) {
        this.depth = depth;
        this.bounds = bounds;
        this.deadline = deadline;
        this.stop = stop;
        this.expanding = new AtomicInteger(workers);
    }

    /** Returns the depth of the states that are expanded. */
    int depth() {
        return depth;
    }

    /** Returns why the pass stops before its end; null if it does not. */
    @Nullable
    Ended stopped() {
        return stopped.get();
    }

    boolean isStopped() {
        return stopped.get() != null;
    }

    /** Stops the pass if there are too many states. */
    void checkStates(long states) {
        if (states >= bounds.states()) {
            stopped.compareAndSet(null, Ended.STATES);
        }
    }

    /** Stops the pass if its time is over, memory is used up, or the caller says so. */
    void checkRest(long memory) {
        if (stop.getAsBoolean()) {
            stopped.compareAndSet(null, Ended.INTERRUPTED);
        } else if (System.nanoTime() - deadline >= 0) {
            stopped.compareAndSet(null, Ended.TIME);
        } else if (memory >= bounds.memory()) {
            stopped.compareAndSet(null, Ended.MEMORY);
        }
    }

    /** Says that a worker cannot go on, so that the others need not wait for it. */
    void fail() {
        failed = true;
        stopped.compareAndSet(null, Ended.INTERRUPTED);
    }

    boolean hasFailed() {
        return failed;
    }

    /** Says that a worker will send no more. */
    void sentAll() {
        expanding.decrementAndGet();
    }

    /** Returns whether no worker will send any more. */
    boolean isAllSent() {
        return expanding.get() == 0;
    }
}
