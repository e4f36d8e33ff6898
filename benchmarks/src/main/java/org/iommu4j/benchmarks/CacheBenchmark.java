// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.benchmarks;

import java.util.concurrent.TimeUnit;
import org.iommu4j.Prot;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.CacheGeometry;
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
 * Single words through the simulated caches of an ordinary machine with 4 CPUs, and by DMA.
 *
 * <p>Hits go round 32 lines. Write-combining stores do too, more than a CPU has buffers for: each drains one. Misses go
 * round 32 lines that share one set of each cache, 8 ways of the private one and 16 of the shared one: every load
 * evicts a line from both. DMA goes through VT-d's IOTLB to 32 lines. The limit is a
 * load or a store of a {@code long[]}, round as many words at the same distances; for a whole cache it is a copy of as
 * many bytes.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 5, time = 1)
public class CacheBenchmark {
    private static final int COUNT = 32;
    private static final long LINE = 64;
    private static final long IOVA = 1L << 39;
    private static final long TARGET = 160L << 20;

    /** From a line to the next one of the same set, in the shared cache and so in the private one. */
    private static final long SET_STRIDE = CacheGeometry.ORDINARY.sharedSets() * LINE;

    /** A machine and the device's mapping of {@link #COUNT} lines. */
    @State(Scope.Thread)
    public static class Machine {
        @SuppressWarnings("NullAway.Init") // in setUp
        SystemMemory cpu;

        @SuppressWarnings("NullAway.Init") // in setUp
        Endpoint device;

        /** Reaches as far as the lines that miss. */
        final long[] words = new long[(int) (COUNT * SET_STRIDE / 8)];

        private int next;

        @SuppressWarnings("NullAway.Init") // in setUp
        Processor processor;

        @SuppressWarnings("NullAway.Init") // in setUp
        Processor other;

        /** Makes the machine. */
        @Setup(Level.Trial)
        public void setUp() {
            Adapters.exerciseAll();
            Rig rig = new Rig(Rig.Vendor.INTEL, Rig.Memory.CACHED);
            cpu = rig.machine.memory(0);
            processor = rig.machine.processors().get(0);
            other = rig.machine.processors().get(1);
            device = rig.endpoint;
            rig.domain.map(IOVA, TARGET, 4096, 1, Prot.READ_WRITE);
            for (int i = 0; i < COUNT; i++) {
                cpu.store(TARGET + i * SET_STRIDE, 1);
            }
        }

        int next() {
            next = next + 1 & COUNT - 1;
            return next;
        }
    }

    /** A memory type. */
    @State(Scope.Thread)
    public static class Type {
        /** The type. */
        @Param({"WB", "WT", "WP", "WC", "UC"})
        public MemoryType type = MemoryType.WB;
    }

    /** A private cache full of modified lines, before each flush. */
    @State(Scope.Thread)
    public static class Full {
        private static final int BYTES =
                CacheGeometry.ORDINARY.privateSets() * CacheGeometry.ORDINARY.privateWays() * (int) LINE;

        final long[] from = new long[BYTES / 8];
        final long[] to = new long[BYTES / 8];

        /** Stores to each line. */
        @Setup(Level.Invocation)
        public void fill(Machine machine) {
            for (int at = 0; at < BYTES; at += (int) LINE) {
                machine.cpu.store(TARGET + at, at);
            }
        }
    }

    /** A CPU loads memory of a type: from its cache, or past it. */
    @Benchmark
    public long loadOfType(Machine state, Type of) {
        return state.processor.load(TARGET + state.next() * LINE, of.type);
    }

    /** A CPU stores to memory of a type that it loaded before. */
    @Benchmark
    public void storeOfType(Machine state, Type of) {
        state.processor.store(TARGET + state.next() * LINE, 2, of.type);
    }

    /** A CPU stores, and another one loads that: the line moves to and fro. */
    @Benchmark
    public long handOver(Machine state) {
        long word = TARGET + state.next() * LINE;
        state.processor.store(word, 2, MemoryType.WB);
        return state.other.load(word, MemoryType.WB);
    }

    /** A CPU stores and flushes the line. */
    @Benchmark
    public void storeAndFlush(Machine state) {
        long word = TARGET + state.next() * LINE;
        state.processor.store(word, 2, MemoryType.WB);
        state.processor.clflush(word);
    }

    /** WBINVD with 4096 modified lines in the private cache. */
    @Benchmark
    public void wbinvdFull(Machine state, Full full) {
        state.processor.wbinvd();
    }

    /** The limit of {@link #wbinvdFull}: a copy of the same size. */
    @Benchmark
    public long limitCopyFull(Full full) {
        System.arraycopy(full.from, 0, full.to, 0, full.from.length);
        return full.to[0];
    }

    /** A device reads, snooping, what a CPU has modified. */
    @Benchmark
    public long dmaReadModified(Machine state) {
        long offset = state.next() * LINE;
        state.cpu.store(TARGET + offset, 2);
        return state.device.read(IOVA + offset, false);
    }

    /** A CPU loads what its cache holds. */
    @Benchmark
    public long loadHit(Machine state) {
        return state.cpu.load(TARGET + state.next() * LINE);
    }

    /** A CPU stores to what its cache holds. */
    @Benchmark
    public void storeHit(Machine state) {
        state.cpu.store(TARGET + state.next() * LINE, 2);
    }

    /** A CPU loads what no cache holds: two clean lines move. */
    @Benchmark
    public long loadMiss(Machine state) {
        return state.cpu.load(TARGET + state.next() * SET_STRIDE);
    }

    /** A CPU stores to what no cache holds: two modified lines move, one of them to memory. */
    @Benchmark
    public void storeMiss(Machine state) {
        state.cpu.store(TARGET + state.next() * SET_STRIDE, 2);
    }

    /** A device reads past the caches. */
    @Benchmark
    public long dmaReadNoSnoop(Machine state) {
        return state.device.read(IOVA + state.next() * LINE, true);
    }

    /** A device reads, and all caches are asked in vain. */
    @Benchmark
    public long dmaReadSnooped(Machine state) {
        return state.device.read(IOVA + state.next() * LINE, false);
    }

    /** A device writes past the caches. */
    @Benchmark
    public boolean dmaWriteNoSnoop(Machine state) {
        return state.device.write(IOVA + state.next() * LINE, 3, true);
    }

    /** A device writes, and all caches are asked in vain. */
    @Benchmark
    public boolean dmaWriteSnooped(Machine state) {
        return state.device.write(IOVA + state.next() * LINE, 3, false);
    }

    /** The limit of hits and of DMA reads: an array's load, round 32 lines. */
    @Benchmark
    public long limitLoadNear(Machine state) {
        return state.words[(int) (state.next() * LINE / 8)];
    }

    /** The limit of misses: an array's load, round 32 lines as far from each other as the ones that miss. */
    @Benchmark
    public long limitLoadFar(Machine state) {
        return state.words[(int) (state.next() * SET_STRIDE / 8)];
    }

    /** The limit of stores and of DMA writes: an array's store. */
    @Benchmark
    public void limitStore(Machine state) {
        state.words[(int) (state.next() * LINE / 8)] = 3;
    }
}
