// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.benchmarks;

import java.util.List;
import java.util.concurrent.TimeUnit;
import org.iommu4j.Iommu;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.dma.DmaApi;
import org.iommu4j.dma.DmaDevice;
import org.iommu4j.dma.DmaDirection;
import org.iommu4j.dma.DmaParameters;
import org.iommu4j.dma.ScatterList;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.pcie.BuiltInTopology;
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
 * Mapping and unmapping a buffer through the DMA API, over flat memory: the address, the tables, and the flush or the
 * wait for it.
 *
 * <p>The limit is {@link MapBenchmark#limitMapOne} and {@link MapBenchmark#limitUnmapOne} together. 64 buffers stay
 * mapped beside, so that tables stay and addresses are looked for.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 5, time = 1)
public class DmaBenchmark {
    private static final long PAGE = 4096;
    private static final long BUFFER = 160L << 20;

    /** A driver's device, strict or lazy. */
    @State(Scope.Thread)
    public static class Driver {
        /** Whose machine. */
        @Param({"INTEL", "AMD"})
        @SuppressWarnings("NullAway.Init") // JMH sets it
        public Rig.Vendor vendor;

        /** Strict or lazy. */
        @Param({"DMA", "DMA_FQ"})
        @SuppressWarnings("NullAway.Init") // JMH sets it
        public DefaultDomainPolicy policy;

        @SuppressWarnings("NullAway.Init") // in setUp
        DmaDevice device;

        final ScatterList list = new ScatterList();

        /** Binds the driver, and maps what stays. */
        @Setup(Level.Trial)
        public void setUp() {
            Adapters.exerciseAll();
            Machine machine = Rig.FACTORY.createFlat(vendor.machine);
            Iommu iommu = vendor.open(machine.vendorContext(LinuxRelease.NEWEST));
            IommuCore core = IommuCore.open(List.of(iommu), machine.topology(), policy);
            device = new DmaApi(core, machine.memory(0), machine.frames())
                    .bind(BuiltInTopology.GPU, DmaParameters.DEFAULT.withMask(-1L));
            for (int i = 0; i < 64; i++) {
                device.mapPage(BUFFER, DmaDirection.BIDIRECTIONAL);
            }
            for (int i = 0; i < 16; i++) {
                list.add(BUFFER + 2L * i * PAGE, PAGE);
            }
        }
    }

    /** Maps and unmaps 4 KiB. */
    @Benchmark
    public long mapUnmap4K(Driver driver) {
        long iova = driver.device.mapPage(BUFFER, DmaDirection.FROM_DEVICE);
        driver.device.unmap(iova, PAGE, DmaDirection.FROM_DEVICE);
        return iova;
    }

    /** Maps and unmaps 64 KiB in one piece. */
    @Benchmark
    public long mapUnmap64K(Driver driver) {
        long iova = driver.device.map(BUFFER, 16 * PAGE, DmaDirection.FROM_DEVICE);
        driver.device.unmap(iova, 16 * PAGE, DmaDirection.FROM_DEVICE);
        return iova;
    }

    /** Maps and unmaps a list of 16 pages that are no neighbours. */
    @Benchmark
    public int mapUnmapScatter16(Driver driver) {
        int segments = driver.device.mapScatter(driver.list, DmaDirection.FROM_DEVICE);
        driver.device.unmapScatter(driver.list, DmaDirection.FROM_DEVICE);
        return segments;
    }
}
