// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.benchmarks;

import java.util.concurrent.TimeUnit;
import org.iommu4j.Prot;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Mapping and unmapping by user space: a call of each through a container and through an IOAS.
 *
 * <p>The limit is what no layer above the driver can leave out: pages are pinned, the driver maps, unmaps and syncs,
 * and pages are unpinned, once for each domain, and pins once.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 5, time = 1)
public class UserMappingBenchmark {
    private static final long PAGE = 4096;
    private static final long LARGE_PAGE = 512 * PAGE;
    private static final long GUEST = 1L << 30;
    private static final long IOVA = 1L << 38;
    private static final long MEMORY = 1L << 32;

    /** What is mapped into. */
    public enum Into {
        /** A type1 container whose devices share one domain. */
        CONTAINER_OF_1(1) {
            @Override
            UserMappings open(int mappings) {
                return UserMappings.OfContainer.of(Rig.FACTORY.named("intel-nosc"), mappings);
            }
        },
        /** A type1 container whose devices need two, since one unit has no snoop control. */
        CONTAINER_OF_2(2) {
            @Override
            UserMappings open(int mappings) {
                return UserMappings.OfContainer.of(Rig.FACTORY.named("intel-mixed"), mappings);
            }
        },
        /** A type1 container whose devices need four, since no two units are alike. */
        CONTAINER_OF_4(4) {
            @Override
            UserMappings open(int mappings) {
                return new UserMappings.OfContainer(FourUnits.machine(), FourUnits.ENDPOINTS, mappings);
            }
        },
        /** An IOAS with one HWPT. */
        IOAS_OF_1(1) {
            @Override
            UserMappings open(int mappings) {
                return new UserMappings.OfIoas(Rig.FACTORY.named("intel-nosc"), 1);
            }
        },
        /** An IOAS with four. */
        IOAS_OF_4(4) {
            @Override
            UserMappings open(int mappings) {
                return new UserMappings.OfIoas(Rig.FACTORY.named("intel-nosc"), 4);
            }
        };

        final int domains;

        Into(int domains) {
            this.domains = domains;
        }

        /** Opens it, with room for so many mappings. */
        abstract UserMappings open(int mappings);
    }

    /** An open container or IOAS, and as many domains of the driver alone. */
    @State(Scope.Thread)
    public static class Target {
        /** What. */
        @Param({"CONTAINER_OF_1", "CONTAINER_OF_2", "CONTAINER_OF_4", "IOAS_OF_1", "IOAS_OF_4"})
        @SuppressWarnings("NullAway.Init") // JMH sets it
        public Into into;

        /** Other mappings, of a page each, below the one that is measured. */
        @Param({"0", "1000000"})
        public int others;

        @SuppressWarnings("NullAway.Init") // in setUp
        UserMappings mappings;

        /** Opens it and makes the other mappings. */
        @Setup
        public void setUp() {
            mappings = into.open(others + 1024);
            if (mappings.domains() != into.domains) {
                throw new IllegalStateException(into + " has " + mappings.domains() + " domains");
            }
            // Every other page, so that no two of them are one mapping.
            for (int i = 0; i < others; i++) {
                mappings.map((1L << 32) + 2L * i * PAGE, MEMORY, PAGE);
            }
        }

        void mapAndUnmap(long size, long chunk) {
            for (long at = 0; at < size; at += chunk) {
                mappings.map(IOVA + at, MEMORY + at, chunk);
            }
            for (long at = 0; at < size; at += chunk) {
                mappings.unmap(IOVA + at, chunk);
            }
        }
    }

    /** The driver alone. */
    @State(Scope.Thread)
    public static class Driver {
        /** How many domains. */
        @Param({"1", "2", "4"})
        public int domains;

        private final LinearProcess process = new LinearProcess();
        private final long[] frames = new long[512];

        @SuppressWarnings("NullAway.Init") // in setUp
        private Rig[] rigs;

        /** Makes the domains. */
        @Setup
        public void setUp() {
            rigs = new Rig[domains];
            for (int i = 0; i < domains; i++) {
                rigs[i] = new Rig(Rig.Vendor.INTEL, Rig.Memory.FLAT);
            }
        }

        void mapAndUnmap(long size, long chunk) {
            long unit = chunk < LARGE_PAGE ? PAGE : LARGE_PAGE;
            for (long at = 0; at < size; at += chunk) {
                process.pin(LinearProcess.virtual(MEMORY + at), (int) (chunk / PAGE), true, frames);
                for (Rig rig : rigs) {
                    rig.domain.map(IOVA + at, frames[0], unit, chunk / unit, Prot.READ_WRITE);
                }
            }
            for (long at = 0; at < size; at += chunk) {
                for (Rig rig : rigs) {
                    rig.domain.unmap(IOVA + at, chunk, rig.gather);
                    rig.domain.sync(rig.gather);
                }
                for (int i = 0; i < chunk / PAGE; i++) {
                    process.unpin(MEMORY + at + i * PAGE, true);
                }
            }
        }
    }

    /** One page of 4 KiB. */
    @Benchmark
    public void page(Target target) {
        target.mapAndUnmap(PAGE, PAGE);
    }

    /** One page of 4 KiB, by the driver. */
    @Benchmark
    public void pageLimit(Driver driver) {
        driver.mapAndUnmap(PAGE, PAGE);
    }

    /** 2 MiB in one call. */
    @Benchmark
    public void largePage(Target target) {
        target.mapAndUnmap(LARGE_PAGE, LARGE_PAGE);
    }

    /** 2 MiB, by the driver. */
    @Benchmark
    public void largePageLimit(Driver driver) {
        driver.mapAndUnmap(LARGE_PAGE, LARGE_PAGE);
    }

    /** A guest's memory of 1 GiB, in pieces of 2 MiB. */
    @Benchmark
    public void guest(Target target) {
        target.mapAndUnmap(GUEST, LARGE_PAGE);
    }

    /** A guest's memory, by the driver. */
    @Benchmark
    public void guestLimit(Driver driver) {
        driver.mapAndUnmap(GUEST, LARGE_PAGE);
    }
}
