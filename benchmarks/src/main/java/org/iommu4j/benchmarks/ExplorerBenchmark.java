// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.benchmarks;

import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.iommu4j.explorer.Bounds;
import org.iommu4j.explorer.Cover;
import org.iommu4j.explorer.Exploration;
import org.iommu4j.explorer.MesiCaches;
import org.iommu4j.explorer.Settings;
import org.iommu4j.explorer.TransitionSystem;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Threads;
import org.openjdk.jmh.annotations.Warmup;

/**
 * A transition of an exploration: caches of 3 processors, 3 lines and 2 values, whose state is one word. An invocation
 * is the whole exploration of 157,464 states; a figure is that divided by its 7,190,856 transitions.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@State(Scope.Thread)
public class ExplorerBenchmark {
    private static final int STATES = 157_464;
    private static final int TRANSITIONS = 7_190_856;
    private static final int SLOTS = 1 << 18;

    private final MesiCaches model = new MesiCaches(3, 3, 2);
    private final int[] enabled = new int[model.actions()];
    private final long[] states = new long[STATES];
    private final long[] table = new long[SLOTS];

    /** Fills the states that {@link #limitModel} visits. */
    public ExplorerBenchmark() {
        if (search() != TRANSITIONS) {
            throw new IllegalStateException("another model");
        }
    }

    /** The engine, one worker. */
    @Benchmark
    @OperationsPerInvocation(TRANSITIONS)
    public Cover oneWorker() {
        return explore(1);
    }

    /** The engine, two workers. */
    @Benchmark
    @OperationsPerInvocation(TRANSITIONS)
    public Cover twoWorkers() {
        return explore(2);
    }

    /**
     * The limit of two workers: two explorations at once that share nothing but the machine. Two workers can be twice
     * {@link #oneWorker} over this one's figure as fast, no more.
     */
    @Benchmark
    @Threads(2)
    @OperationsPerInvocation(TRANSITIONS)
    public Cover limitTwoAtOnce() {
        return explore(1);
    }

    private static Cover explore(int workers) {
        return explore(() -> new MesiCaches(3, 3, 2), workers, STATES, TRANSITIONS);
    }

    /** Explores all of a system, whose size is known. */
    static Cover explore(Supplier<? extends TransitionSystem> systems, int workers, long states, long transitions) {
        try (Exploration exploration = new Exploration(systems, Settings.DEFAULT.withWorkers(workers))) {
            Cover cover = exploration.run(Bounds.NONE).cover();
            if (cover.states() != states || cover.transitions() != transitions) {
                throw new IllegalStateException(cover.statement());
            }
            return cover;
        }
    }

    /** The model alone: all transitions of all states, none looked up. */
    @Benchmark
    @OperationsPerInvocation(TRANSITIONS)
    public long limitModel() {
        long sum = 0;
        for (int state = 0; state < STATES; state++) {
            model.restore(states, state);
            int count = model.enabled(enabled);
            for (int i = 0; i < count; i++) {
                model.restore(states, state);
                model.apply(enabled[i]);
                sum += model.fingerprint();
            }
        }
        return sum;
    }

    /** The search by hand, over arrays that are large enough from the start: no parents, no properties, no bounds. */
    @Benchmark
    @OperationsPerInvocation(TRANSITIONS)
    public int limitSearch() {
        return search();
    }

    private int search() {
        Arrays.fill(table, 0);
        int transitions = 0;
        int found = 1;
        states[0] = 0;
        table[0] = ~0L;
        for (int next = 0; next < found; next++) {
            model.restore(states, next);
            int count = model.enabled(enabled);
            for (int i = 0; i < count; i++) {
                model.restore(states, next);
                model.apply(enabled[i]);
                long state = model.fingerprint();
                int at = (int) ((state * 0x9E3779B97F4A7C15L) >>> 46);
                while (table[at] != 0 && table[at] != ~state) {
                    at = (at + 1) & (SLOTS - 1);
                }
                if (table[at] == 0) {
                    table[at] = ~state;
                    states[found++] = state;
                }
            }
            transitions += count;
        }
        return transitions;
    }
}
