// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A breadth-first search of all states of a system, which can be stopped and continued.
 *
 * <p>All states of one depth are expanded before any of the next, so that the first violation found is a shortest one.
 * The depth in which it lies is finished, so that states, transitions and the choice of the violation do not depend on
 * the number of workers, unless a bound or a stop ends a run in the middle of a depth.
 *
 * <p>Each worker has its own system and its own thread; with one worker that is the caller's, at construction and at
 * every run. An instance is used by one caller at a time.
 */
public final class Exploration implements AutoCloseable {
    private final Crew crew;
    private final Worker[] workers;
    private int depth;
    private int farthest;
    private boolean amidDepth;
    private long nanos;
    private boolean broken;

    /**
     * Opens the systems, and finds the initial state.
     *
     * @param systems opens a system in its initial state; called once in each worker's thread, perhaps at the same time
     * @param settings how to work
     */
    public Exploration(Supplier<? extends TransitionSystem> systems, Settings settings) {
        this(systems, settings, FingerprintTable.DEFAULT_SLOTS);
    }

    /** Begins with segments of so many slots, so that a test can see the table grow. */
    Exploration(Supplier<? extends TransitionSystem> systems, Settings settings, int tableSlots) {
        Objects.requireNonNull(systems);
        this.crew = new Crew(settings.workers());
        try {
            workers = crew.all(i -> new Worker(i, checked(systems.get()), settings, tableSlots), () -> {})
                    .toArray(Worker[]::new);
            each(worker -> {
                worker.meet(workers);
                worker.begin();
            });
            each(Worker::turn);
        } catch (RuntimeException | Error e) {
            crew.close();
            throw e;
        }
    }

    private static TransitionSystem checked(TransitionSystem system) {
        if (system.words() < 1 || system.words() > TransitionSystem.MAX_WORDS) {
            throw new IllegalArgumentException("a state of " + system.words() + " words");
        }
        if (system.actions() < 0 || system.actions() > TransitionSystem.MAX_ACTIONS) {
            throw new IllegalArgumentException("a system of " + system.actions() + " actions");
        }
        return system;
    }

    /** Explores until there is an answer or a bound is reached; continues where an earlier run stopped. */
    public Report run(Bounds bounds) {
        return run(bounds, () -> false);
    }

    /**
     * Explores until there is an answer, a bound is reached, or somebody says stop; continues where an earlier run
     * stopped. Interrupting the calling thread says stop as well; it stays interrupted.
     *
     * @param bounds where to stop; those on states and depth count from the beginning of the exploration
     * @param stop asked every few states, from any worker's thread
     * @throws IllegalStateException if the system does not keep its promises and a violation cannot be replayed, or if
     *     an earlier run failed
     */
    public Report run(Bounds bounds, BooleanSupplier stop) {
        Objects.requireNonNull(stop);
        if (broken) {
            throw new IllegalStateException("an earlier run failed");
        }
        long start = System.nanoTime();
        long deadline = start + bounds.time().toNanos();
        Thread caller = Thread.currentThread();
        AtomicBoolean interrupted = new AtomicBoolean();
        BooleanSupplier anyStop = () -> interrupted.get() || caller.isInterrupted() || stop.getAsBoolean();
        broken = true;
        Ended ended = resting(bounds);
        while (ended == null) {
            Pass pass = new Pass(depth, workers.length, bounds, deadline, anyStop);
            crew.all(
                    i -> {
                        workers[i].expand(pass);
                        return i;
                    },
                    () -> interrupted.set(true));
            if (anyFound()) {
                farthest = depth + 1;
            }
            ended = pass.stopped();
            amidDepth = ended != null;
            if (!amidDepth) {
                each(Worker::turn);
                depth++;
                ended = resting(bounds);
            }
        }
        Finding finding = finding();
        Optional<Violation> violation = finding == null ? Optional.empty() : Optional.of(violation(finding));
        broken = false;
        nanos += System.nanoTime() - start;
        return new Report(cover(ended), violation);
    }

    /** Returns why there is nothing to do; null if there is. A depth that was begun has to be finished. */
    private @Nullable Ended resting(Bounds bounds) {
        if (!amidDepth && finding() != null) {
            return Ended.VIOLATION;
        }
        boolean more = false;
        for (Worker worker : workers) {
            more |= !worker.hasNothingToExpand();
        }
        if (!more && !amidDepth) {
            return Ended.COMPLETE;
        }
        if (depth >= bounds.depth()) {
            return Ended.DEPTH;
        }
        return states() >= bounds.states() ? Ended.STATES : null;
    }

    private long states() {
        long states = 0;
        for (Worker worker : workers) {
            states += worker.states();
        }
        return states;
    }

    private boolean anyFound() {
        boolean any = false;
        for (Worker worker : workers) {
            any |= worker.foundSomething();
        }
        return any;
    }

    private @Nullable Finding finding() {
        Finding first = null;
        for (Worker worker : workers) {
            first = Finding.first(first, worker.finding());
        }
        return first;
    }

    private Violation violation(Finding finding) {
        int[] path = new int[finding.depth()];
        long state = Integer.toUnsignedLong(finding.state());
        for (int step = path.length - 1; step >= 0; step--) {
            Worker owner = workers[(int) (state % workers.length)];
            path[step] = owner.actionOf(state / workers.length);
            state = Integer.toUnsignedLong(owner.parentOf(state / workers.length));
        }
        return crew.first(i -> workers[i].retrace(path, finding));
    }

    private Cover cover(Ended ended) {
        long states = states();
        long transitions = 0;
        long bytes = 0;
        long spilled = 0;
        for (Worker worker : workers) {
            transitions += worker.transitions();
            bytes += worker.bytes();
            spilled += worker.spilled();
        }
        double pairs = states * (states - 1.0) / 2;
        double collisions = workers[0].isExact() ? 0 : pairs / 0x1p64;
        return new Cover(states, transitions, farthest, ended, nanos, bytes, spilled, collisions);
    }

    private void each(Consumer<Worker> task) {
        crew.all(
                i -> {
                    task.accept(workers[i]);
                    return i;
                },
                () -> {});
    }

    /** Ends the threads and removes what is on disk. */
    @Override
    public void close() {
        crew.close();
        for (Worker worker : workers) {
            worker.close();
        }
    }
}
