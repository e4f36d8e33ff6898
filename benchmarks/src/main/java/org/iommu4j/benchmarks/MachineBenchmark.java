// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.benchmarks;

import java.util.concurrent.TimeUnit;
import org.iommu4j.Iommu;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.ProcessorDescription;
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
 * Building machines with caches, opening their vendor's driver, and returning them to power-on.
 *
 * <p>The limit is what no implementation could leave out: allocating the arrays for the sets of the caches, the
 * directory of the memory and the frames that the driver's tables and queues take, and storing to each word of these
 * frames.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 5, time = 1)
public class MachineBenchmark {
    /** Sizes of machines. */
    public enum Size {
        /** 2 CPUs with 4-line caches and 16 MiB. */
        LITMUS,
        /** 4 CPUs with ordinary caches and 256 MiB. */
        ORDINARY
    }

    /** What to build. */
    @State(Scope.Thread)
    public static class Plan {
        /** Whose machine. */
        @Param({"INTEL", "AMD"})
        @SuppressWarnings("NullAway.Init") // JMH sets it
        public Rig.Vendor vendor;

        /** How large. */
        @Param({"LITMUS", "ORDINARY"})
        @SuppressWarnings("NullAway.Init") // JMH sets it
        public Size size;

        @SuppressWarnings("NullAway.Init") // in setUp
        MachineDescription description;

        int framesInUse;

        /** A machine that is reset and used again. */
        @SuppressWarnings("NullAway.Init") // in setUp
        Machine machine;

        /** Describes it. */
        @Setup(Level.Trial)
        public void setUp() {
            Adapters.exerciseAll();
            MachineDescription ordinary = vendor.machine;
            description = size == Size.ORDINARY
                    ? ordinary
                    : new MachineDescription(
                            "litmus",
                            ProcessorDescription.x86(2, ordinary.processors().virtualization(), CacheGeometry.LITMUS),
                            16L << 20,
                            ordinary.units(),
                            ordinary.functions(),
                            ordinary.acpiTables(),
                            ordinary.bootOptions());
            machine = Rig.FACTORY.create(description);
            open(machine);
            framesInUse = (int) machine.frames().inUse();
            machine.reset();
        }

        Iommu open(Machine built) {
            return vendor.open(built.vendorContext(LinuxRelease.NEWEST));
        }
    }

    /** Builds the machine. */
    @Benchmark
    public Machine build(Plan plan) {
        return Rig.FACTORY.create(plan.description);
    }

    /** Builds the machine and opens its driver. */
    @Benchmark
    public Iommu buildAndOpen(Plan plan) {
        return plan.open(Rig.FACTORY.create(plan.description));
    }

    /** Opens the driver on a machine that was used before, and returns the machine to power-on. */
    @Benchmark
    public Machine openAndReset(Plan plan) {
        plan.open(plan.machine);
        plan.machine.reset();
        return plan.machine;
    }

    /** Returns a machine to power-on in which a CPU stored a word and a device wrote one. */
    @Benchmark
    public Machine touchAndReset(Plan plan) {
        plan.machine.memory(0).store(3 * 4096L, 1);
        plan.machine.endpoint(BuiltInTopology.GPU).write(12L << 20, 2, false);
        plan.machine.reset();
        return plan.machine;
    }

    /** The limit of {@link #buildAndOpen}. */
    @Benchmark
    public long[][][] limit(Plan plan) {
        CacheGeometry caches = plan.description.processors().caches();
        long[][][] all = new long[plan.description.processors().cpus() + 3][][];
        for (int cpu = 0; cpu < plan.description.processors().cpus(); cpu++) {
            all[cpu] = new long[caches.privateSets()][];
        }
        all[plan.description.processors().cpus()] = new long[caches.sharedSets()][];
        all[plan.description.processors().cpus() + 1] = new long[(int) (plan.description.memoryBytes() >>> 21)][];
        long[][] frames = new long[plan.framesInUse][];
        all[plan.description.processors().cpus() + 2] = frames;
        for (int i = 0; i < frames.length; i++) {
            long[] frame = new long[SystemMemory.FRAME_WORDS];
            ByHand.storeRun(frame, 0, SystemMemory.FRAME_WORDS, i, 1);
            frames[i] = frame;
        }
        return all;
    }
}
