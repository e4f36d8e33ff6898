// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.benchmarks;

import java.util.concurrent.TimeUnit;
import org.iommu4j.Prot;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.trace.TraceKind;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What a unit needs for a request.
 *
 * <p>Hits go round 64 pages. Walks go round 64 pages that share a set in every cache of the unit, so that each look-up
 * misses; setting up counts the reads, which must be four for each. The limit is the same walk by hand, over the same
 * tables in the same memory, round the same addresses. {@link #driverWalk} is the driver's own walk, without a unit's
 * caches but through its port.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 5, time = 1)
public class TranslationBenchmark {
    private static final long IOVA = 1L << 39;
    private static final long TARGET = 160L << 20;
    private static final long PAGE = 4096;
    private static final int LEVELS = 4;

    /** Addresses at this distance share a set in the IOTLBs and in the cache of tables of the units. */
    private static final long CONFLICT = 128L << 20;

    /** Pages, and how to go round them. */
    @State(Scope.Thread)
    public abstract static class Pages {
        /** Whose unit. */
        @Param({"INTEL", "AMD"})
        @SuppressWarnings("NullAway.Init") // JMH sets it
        public Rig.Vendor vendor;

        final long[] iovas;
        private int next;

        @SuppressWarnings("NullAway.Init") // in setUp
        Rig rig;

        Pages(int count, long stride) {
            iovas = new long[count];
            for (int i = 0; i < count; i++) {
                iovas[i] = IOVA + i * stride;
            }
        }

        void setUp(Rig.Memory memory, int readsPerTranslation) {
            Adapters.exerciseAll();
            rig = new Rig(vendor, memory);
            for (long iova : iovas) {
                rig.domain.map(iova, TARGET, PAGE, 1, Prot.READ_WRITE);
            }
            long reads = 0;
            for (int round = 0; round < 3; round++) {
                rig.machine.trace().clear();
                rig.machine.trace().start();
                for (long iova : iovas) {
                    if (Translation.isFault(translate(iova))) {
                        throw new IllegalStateException("IOVA 0x" + Long.toHexString(iova) + " faults");
                    }
                }
                rig.machine.trace().stop();
                reads = unitReads();
            }
            if (reads != (long) readsPerTranslation * iovas.length) {
                throw new IllegalStateException(reads + " reads for " + iovas.length + " translations, expected "
                        + readsPerTranslation + " for each");
            }
        }

        private long unitReads() {
            long reads = 0;
            for (int event = 0; event < rig.machine.trace().size(); event++) {
                reads += rig.machine.trace().kind(event) == TraceKind.UNIT_READ ? 1 : 0;
            }
            return reads;
        }

        long nextIova() {
            next = (next + 1) & (iovas.length - 1);
            return iovas[next];
        }

        long translate(long iova) {
            return rig.unit.translate(rig.requesterId, TranslationUnit.NO_PASID, iova, RequestFlags.READ);
        }
    }

    /** Pages that the IOTLB holds. */
    @State(Scope.Thread)
    public static class Held extends Pages {
        /** Makes 64 neighbouring pages. */
        public Held() {
            super(64, PAGE);
        }

        /** Maps them. */
        @Setup(Level.Trial)
        public void setUp() {
            setUp(Rig.Memory.FLAT, 0);
        }
    }

    /** Pages that no cache of a unit holds. */
    @State(Scope.Thread)
    public static class Cold extends Pages {
        /** Over what. */
        @Param({"FLAT", "CACHED"})
        @SuppressWarnings("NullAway.Init") // JMH sets it
        public Rig.Memory memory;

        /** Makes 64 pages that get in each other's way. */
        public Cold() {
            super(64, CONFLICT);
        }

        /** Maps them. */
        @Setup(Level.Trial)
        public void setUp() {
            setUp(memory, LEVELS);
        }
    }

    /** The same pages as {@link Cold} and the tables that the driver made for them. */
    @State(Scope.Thread)
    public static class ColdByHand extends Pages {
        @SuppressWarnings("NullAway.Init") // in setUp
        FlatMemory flat;

        long root;

        /** Makes 64 pages that get in each other's way. */
        public ColdByHand() {
            super(64, CONFLICT);
        }

        /** Maps them. */
        @Setup(Level.Trial)
        public void setUp() {
            setUp(Rig.Memory.FLAT, LEVELS);
            flat = (FlatMemory) rig.machine.memory(0);
            root = rig.rootTable(vendor);
            for (long iova : iovas) {
                if (walk(iova) != Translation.address(translate(iova))) {
                    throw new IllegalStateException("the walk by hand and the unit disagree");
                }
            }
        }

        long walk(long iova) {
            return vendor == Rig.Vendor.INTEL ? ByHand.walkVtd(flat, root, iova) : ByHand.walkAmd(flat, root, iova);
        }
    }

    /** Translates what the IOTLB holds. */
    @Benchmark
    public long iotlbHit(Held state) {
        return state.translate(state.nextIova());
    }

    /** Translates what takes a walk of 4 levels. */
    @Benchmark
    public long walk(Cold state) {
        return state.translate(state.nextIova());
    }

    /** The driver's walk of the same tables. */
    @Benchmark
    public long driverWalk(Cold state) {
        return state.rig.domain.translate(state.nextIova());
    }

    /** The limit of {@link #walk} and {@link #driverWalk}. */
    @Benchmark
    public long limitWalk(ColdByHand state) {
        return state.walk(state.nextIova());
    }
}
