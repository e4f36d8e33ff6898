// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.benchmarks;

import java.util.concurrent.TimeUnit;
import org.iommu4j.Prot;
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
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Single words through the simulated caches of an ordinary machine with 4 CPUs, and by DMA.
 *
 * <p>Hits go round 32 lines. Misses go round 32 lines that share one set of each cache, 8 ways of the private one and
 * 16 of the shared one: every load evicts a line from both. DMA goes through VT-d's IOTLB to 32 lines. The limit is a
 * load or a store of a {@code long[]}, round as many words at the same distances.
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

        /** Makes the machine. */
        @Setup(Level.Trial)
        public void setUp() {
            Adapters.exerciseAll();
            Rig rig = new Rig(Rig.Vendor.INTEL, Rig.Memory.CACHED);
            cpu = rig.machine.memory(0);
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
