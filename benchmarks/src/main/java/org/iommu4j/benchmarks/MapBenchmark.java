// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.benchmarks;

import java.util.concurrent.TimeUnit;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.platform.support.FlatMemory;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Mapping and unmapping through a domain whose tables are there already.
 *
 * <p>An invocation maps, or unmaps, a batch; what undoes it is not timed. Limits: one entry is changed by a walk, a
 * check and a store over {@link FlatMemory}; a run is a plain loop of stores into {@code long[]} frames.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 5, time = 1)
public class MapBenchmark {
    private static final long IOVA = 1L << 39;
    private static final long TARGET = 160L << 20;
    private static final long PAGE = 4096;
    private static final long LARGE_PAGE = 512 * PAGE;

    /** Single pages in a batch: half of a table. */
    private static final int SINGLES = 256;

    /** Runs in a batch, of 256 pages each: half of each of as many tables. */
    private static final int RUNS = 8;

    private static final int RUN = 256;

    /** A domain, empty but for a page at the end of each table, which keeps the table there. */
    @State(Scope.Thread)
    public static class Tables {
        /** Whose driver, and which of its formats. */
        @Param({"INTEL", "INTEL_FIRST_STAGE", "AMD", "AMD_GUEST"})
        @SuppressWarnings("NullAway.Init") // JMH sets it
        public Rig.Vendor vendor;

        /** Over what. */
        @Param({"FLAT", "CACHED"})
        @SuppressWarnings("NullAway.Init") // JMH sets it
        public Rig.Memory memory;

        @SuppressWarnings("NullAway.Init") // in setUp
        IommuDomain domain;

        @SuppressWarnings("NullAway.Init") // in setUp
        IotlbGather gather;

        @SuppressWarnings("NullAway.Init") // in setUp
        private Rig rig;

        /** Makes the domain. */
        @Setup(Level.Trial)
        public void setUp() {
            Adapters.exerciseAll();
            rig = new Rig(vendor, memory);
            domain = rig.domain;
            gather = rig.gather;
            for (int table = 0; table < RUNS; table++) {
                domain.map(IOVA + table * LARGE_PAGE + 511 * PAGE, TARGET, PAGE, 1, Prot.READ_WRITE);
            }
            long large = IOVA + (512L << 21);
            domain.map(large + 511 * LARGE_PAGE, TARGET, LARGE_PAGE, 1, Prot.READ_WRITE);
        }

        static long single(int page) {
            return IOVA + page * PAGE;
        }

        static long run(int run) {
            return IOVA + run * LARGE_PAGE;
        }

        static long large(int page) {
            return IOVA + (512L << 21) + page * LARGE_PAGE;
        }

        void mapSingles() {
            for (int page = 0; page < SINGLES; page++) {
                domain.map(single(page), TARGET + page * PAGE, PAGE, 1, Prot.READ_WRITE);
            }
        }

        void mapRuns() {
            for (int run = 0; run < RUNS; run++) {
                domain.map(run(run), TARGET, PAGE, RUN, Prot.READ_WRITE);
            }
        }

        void mapLarge() {
            for (int page = 0; page < SINGLES; page++) {
                domain.map(large(page), TARGET, LARGE_PAGE, 1, Prot.READ_WRITE);
            }
        }

        void clear() {
            domain.unmap(single(0), SINGLES * PAGE, gather);
            for (int run = 0; run < RUNS; run++) {
                domain.unmap(run(run), RUN * PAGE, gather);
            }
            domain.unmap(large(0), SINGLES * LARGE_PAGE, gather);
            domain.sync(gather);
        }
    }

    /** Nothing is mapped yet. */
    @State(Scope.Thread)
    public static class Empty extends Tables {
        /** Undoes the last batch. */
        @Setup(Level.Invocation)
        public void prepare() {
            clear();
        }
    }

    /** A batch of single pages is mapped. */
    @State(Scope.Thread)
    public static class Singles extends Tables {
        /** Redoes the last batch. */
        @Setup(Level.Invocation)
        public void prepare() {
            clear();
            mapSingles();
        }
    }

    /** A batch of runs is mapped. */
    @State(Scope.Thread)
    public static class Runs extends Tables {
        /** Redoes the last batch. */
        @Setup(Level.Invocation)
        public void prepare() {
            clear();
            mapRuns();
        }
    }

    /** A batch of 2 MiB pages is mapped. */
    @State(Scope.Thread)
    public static class Large extends Tables {
        /** Redoes the last batch. */
        @Setup(Level.Invocation)
        public void prepare() {
            clear();
            mapLarge();
        }
    }

    /** Tables of 4 levels in flat memory, written by hand. */
    @State(Scope.Thread)
    public static class HandTables {
        static final long ROOT = 1L << 20;
        final FlatMemory memory = new FlatMemory(256L << 20);
        final long[][] frames = new long[RUNS][512];

        /** Makes the tables. */
        @Setup(Level.Trial)
        public void setUp() {
            Adapters.exerciseAll();
            long table = ROOT;
            for (int shift = 39; shift > 12; shift -= 9) {
                memory.store(table + ((IOVA >>> shift & 511) << 3), table + PAGE | 3);
                table += PAGE;
            }
        }

        void clear() {
            for (int page = 0; page < SINGLES; page++) {
                change(page, true, 0);
            }
        }

        void fill() {
            for (int page = 0; page < SINGLES; page++) {
                change(page, false, TARGET + page * PAGE | 3);
            }
        }

        boolean change(int page, boolean present, long value) {
            return ByHand.change(memory, ROOT, 12, IOVA + page * PAGE, present, value);
        }
    }

    /** Nothing is mapped yet. */
    @State(Scope.Thread)
    public static class EmptyByHand extends HandTables {
        /** Undoes the last batch. */
        @Setup(Level.Invocation)
        public void prepare() {
            clear();
        }
    }

    /** A batch of single pages is mapped. */
    @State(Scope.Thread)
    public static class SinglesByHand extends HandTables {
        /** Redoes the last batch. */
        @Setup(Level.Invocation)
        public void prepare() {
            clear();
            fill();
        }
    }

    /** Maps a page of 4 KiB. */
    @Benchmark
    @OperationsPerInvocation(SINGLES)
    public void map4K(Empty state) {
        state.mapSingles();
    }

    /** Maps a page of 4 KiB and makes the unit see it. */
    @Benchmark
    @OperationsPerInvocation(SINGLES)
    public void map4KSync(Empty state) {
        IommuDomain domain = state.domain;
        for (int page = 0; page < SINGLES; page++) {
            domain.map(Tables.single(page), TARGET + page * PAGE, PAGE, 1, Prot.READ_WRITE);
            domain.syncMap(Tables.single(page), PAGE);
        }
    }

    /** Unmaps a page of 4 KiB. */
    @Benchmark
    @OperationsPerInvocation(SINGLES)
    public void unmap4K(Singles state) {
        IommuDomain domain = state.domain;
        for (int page = 0; page < SINGLES; page++) {
            domain.unmap(Tables.single(page), PAGE, state.gather);
        }
    }

    /** Unmaps a page of 4 KiB and makes the unit forget it. */
    @Benchmark
    @OperationsPerInvocation(SINGLES)
    public void unmap4KSync(Singles state) {
        IommuDomain domain = state.domain;
        for (int page = 0; page < SINGLES; page++) {
            domain.unmap(Tables.single(page), PAGE, state.gather);
            domain.sync(state.gather);
        }
    }

    /** Maps a run of 256 pages. */
    @Benchmark
    @OperationsPerInvocation(RUNS)
    public void map256(Empty state) {
        state.mapRuns();
    }

    /** Unmaps a run of 256 pages. */
    @Benchmark
    @OperationsPerInvocation(RUNS)
    public void unmap256(Runs state) {
        IommuDomain domain = state.domain;
        for (int run = 0; run < RUNS; run++) {
            domain.unmap(Tables.run(run), RUN * PAGE, state.gather);
        }
    }

    /** Unmaps a run of 256 pages and makes the unit forget them. */
    @Benchmark
    @OperationsPerInvocation(RUNS)
    public void unmap256Sync(Runs state) {
        IommuDomain domain = state.domain;
        for (int run = 0; run < RUNS; run++) {
            domain.unmap(Tables.run(run), RUN * PAGE, state.gather);
            domain.sync(state.gather);
        }
    }

    /** Maps a page of 2 MiB. */
    @Benchmark
    @OperationsPerInvocation(SINGLES)
    public void map2M(Empty state) {
        state.mapLarge();
    }

    /** Unmaps a page of 2 MiB. */
    @Benchmark
    @OperationsPerInvocation(SINGLES)
    public void unmap2M(Large state) {
        IommuDomain domain = state.domain;
        for (int page = 0; page < SINGLES; page++) {
            domain.unmap(Tables.large(page), LARGE_PAGE, state.gather);
        }
    }

    /** The limit of {@link #map4K} and {@link #map2M}: walk, check that nothing is there, store. */
    @Benchmark
    @OperationsPerInvocation(SINGLES)
    public boolean limitMapOne(EmptyByHand state) {
        boolean done = true;
        for (int page = 0; page < SINGLES; page++) {
            done &= state.change(page, false, TARGET + page * PAGE | 3);
        }
        return done;
    }

    /** The limit of {@link #unmap4K} and {@link #unmap2M}: walk, check that something is there, store 0. */
    @Benchmark
    @OperationsPerInvocation(SINGLES)
    public boolean limitUnmapOne(SinglesByHand state) {
        boolean done = true;
        for (int page = 0; page < SINGLES; page++) {
            done &= state.change(page, true, 0);
        }
        return done;
    }

    /** The limit of {@link #map256}: stores. */
    @Benchmark
    @OperationsPerInvocation(RUNS)
    public long[][] limitMap256(HandTables state) {
        for (int run = 0; run < RUNS; run++) {
            ByHand.storeRun(state.frames[run], 0, RUN, TARGET | 3, PAGE);
        }
        return state.frames;
    }

    /** The limit of {@link #unmap256}: stores of 0. */
    @Benchmark
    @OperationsPerInvocation(RUNS)
    public long[][] limitUnmap256(HandTables state) {
        for (int run = 0; run < RUNS; run++) {
            ByHand.storeRun(state.frames[run], 0, RUN, 0, 0);
        }
        return state.frames;
    }
}
