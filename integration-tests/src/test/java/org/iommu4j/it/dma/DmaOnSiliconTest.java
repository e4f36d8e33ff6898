// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.dma;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.dma.CoherentBuffer;
import org.iommu4j.dma.DmaDevice;
import org.iommu4j.dma.DmaDirection;
import org.iommu4j.dma.DmaOptions;
import org.iommu4j.dma.DmaParameters;
import org.iommu4j.dma.ScatterList;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.spi.BootOptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a device reaches through the DMA API, and until when. */
class DmaOnSiliconTest {
    private static final long PAGE = DmaBench.PAGE;

    @ParameterizedTest
    @ValueSource(strings = {"intel-sc", "intel-nosc", "amd", "riscv"})
    void aStrictUnmapEndsTheDevicesAccessBeforeItReturns(String machine) {
        DmaBench bench = DmaBench.flat(machine, "7.3", DefaultDomainPolicy.DMA);
        DmaDevice gpu = bench.dma.bind(DmaBench.GPU);
        long buffer = bench.buffer(0);
        long iova = gpu.mapPage(buffer, DmaDirection.BIDIRECTIONAL);
        assertThat(bench.write(iova, 1)).isTrue();

        gpu.unmap(iova, PAGE, DmaDirection.BIDIRECTIONAL);

        assertThat(bench.write(iova, 2)).isFalse();
        assertThat(bench.load(buffer)).isEqualTo(1);
        gpu.close();
        bench.close();
    }

    /** The window of lazy flushing: memory that the driver has back, and the device still writes to. */
    @ParameterizedTest
    @ValueSource(strings = {"intel-sc", "intel-nosc", "amd", "riscv"})
    void afterALazyUnmapTheDeviceReachesTheMemoryUntilTheFlush(String machine) {
        DmaBench bench = DmaBench.flat(machine, "7.3", DefaultDomainPolicy.DMA_FQ);
        DmaDevice gpu = bench.dma.bind(DmaBench.GPU);
        long buffer = bench.buffer(0);
        long iova = gpu.mapPage(buffer, DmaDirection.BIDIRECTIONAL);
        assertThat(bench.write(iova, 1)).as("the unit caches the translation").isTrue();
        gpu.unmap(iova, PAGE, DmaDirection.BIDIRECTIONAL);

        assertThat(bench.write(iova, 2)).as("the window").isTrue();
        assertThat(bench.load(buffer)).isEqualTo(2);
        bench.dma.advance(9);
        assertThat(bench.write(iova, 3)).as("after 9 ms").isTrue();
        bench.dma.advance(1);

        assertThat(bench.write(iova, 4)).as("after 10 ms").isFalse();
        assertThat(bench.load(buffer)).isEqualTo(3);
        gpu.close();
        bench.close();
    }

    /** Its address is not given to another buffer meanwhile, so the device never reaches a wrong one by it. */
    @ParameterizedTest
    @ValueSource(strings = {"intel-sc", "amd", "riscv"})
    void anAddressThatTheUnitStillKnowsIsNotGivenOut(String machine) {
        DmaBench bench = DmaBench.flat(machine, "7.3", DefaultDomainPolicy.DMA_FQ);
        DmaDevice gpu = bench.dma.bind(DmaBench.GPU);
        long first = bench.buffer(0);
        long second = bench.buffer(0);
        bench.store(second, 0x22);
        long iova = gpu.mapPage(first, DmaDirection.TO_DEVICE);
        bench.read(iova);
        gpu.unmap(iova, PAGE, DmaDirection.TO_DEVICE);

        long other = gpu.mapPage(second, DmaDirection.TO_DEVICE);
        assertThat(other).isNotEqualTo(iova);
        assertThat(bench.read(other)).contains(0x22L);
        gpu.unmap(other, PAGE, DmaDirection.TO_DEVICE);
        bench.dma.advance(10);
        assertThat(gpu.mapPage(second, DmaDirection.TO_DEVICE)).isEqualTo(iova);
        assertThat(bench.read(iova)).as("and not the first buffer").contains(0x22L);
    }

    /** A table that an unmap empties stays out of use until the unit has forgotten it. */
    @ParameterizedTest
    @ValueSource(strings = {"intel-sc", "amd", "riscv"})
    void tablesOfALazyDomainAreFreedByTheFlush(String machine) {
        DmaBench bench = DmaBench.flat(machine, "7.3", DefaultDomainPolicy.DMA_FQ);
        DmaDevice gpu = bench.dma.bind(DmaBench.GPU);
        long start = bench.buffer(10) + PAGE;
        long size = 2 << 20;
        gpu.unmap(gpu.map(start, size, DmaDirection.TO_DEVICE), size, DmaDirection.TO_DEVICE);
        bench.dma.advance(10);
        long idle = bench.machine.frames().inUse();

        long iova = gpu.map(start, size, DmaDirection.TO_DEVICE);
        long mapped = bench.machine.frames().inUse();
        gpu.unmap(iova, size, DmaDirection.TO_DEVICE);

        assertThat(mapped).isGreaterThan(idle);
        assertThat(bench.machine.frames().inUse()).as("until the flush").isEqualTo(mapped);
        bench.dma.advance(10);
        assertThat(bench.machine.frames().inUse()).isEqualTo(idle);
    }

    @ParameterizedTest
    @ValueSource(strings = {"intel-sc", "amd", "riscv"})
    void tablesThatWaitAreFreedWithTheirDomain(String machine) {
        for (DefaultDomainPolicy next : DefaultDomainPolicy.values()) {
            DmaBench bench = DmaBench.flat(machine, "7.3", DefaultDomainPolicy.DMA_FQ);
            DmaDevice gpu = bench.dma.bind(DmaBench.GPU);
            long start = bench.buffer(10) + PAGE;
            long iova = gpu.map(start, 2 << 20, DmaDirection.TO_DEVICE);
            bench.read(iova);
            gpu.unmap(iova, 2 << 20, DmaDirection.TO_DEVICE);
            gpu.close();

            bench.group.changeType(next);
            bench.close();

            assertThat(bench.machine.frames().inUse()).as("after %s", next).isZero();
            assertThat(bench.iommu.quarantinedFrames()).isZero();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"intel-sc", "amd", "riscv"})
    void aDeviceFromOutsideIsNeverLazyAndReachesNothingBesideItsBuffer(String machine) {
        DmaBench bench = DmaBench.outside(machine, "7.3", DefaultDomainPolicy.DMA_FQ);
        DmaDevice gpu = bench.dma.bind(DmaBench.GPU);
        long page = bench.buffer(0);
        for (long offset = 0; offset < PAGE; offset += 8) {
            bench.store(page + offset, offset >= 0x100 && offset < 0x180 ? 0x11 : 0x5ec2e7);
        }

        long iova = gpu.map(page + 0x100, 0x80, DmaDirection.BIDIRECTIONAL);
        long base = iova & -PAGE;
        for (long offset = 0; offset < PAGE; offset += 8) {
            assertThat(bench.read(base + offset)).contains(offset < 0x80 ? 0x11L : 0L);
        }
        assertThat(bench.write(base, 0x22)).isTrue();
        assertThat(bench.write(base + 0x80, 0x33)).as("into its own page").isTrue();
        gpu.unmap(iova, 0x80, DmaDirection.BIDIRECTIONAL);

        assertThat(bench.read(base)).as("no window").isEmpty();
        assertThat(bench.load(page + 0x100)).isEqualTo(0x22);
        assertThat(bench.load(page + 0x180)).as("beside the buffer").isEqualTo(0x5ec2e7);
    }

    /** A hole since 6.4: the type in sysfs makes a device lazy that is not trusted. */
    @ParameterizedTest
    @CsvSource({"intel-sc, 6.4", "amd, 7.3"})
    void sysfsMakesADeviceFromOutsideLazy(String machine, String release) {
        DmaBench bench = DmaBench.outside(machine, release, DefaultDomainPolicy.DMA_FQ);
        DmaDevice gpu = bench.dma.bind(DmaBench.GPU);
        bench.group.changeType(DefaultDomainPolicy.DMA_FQ);
        long page = bench.buffer(0);
        long iova = gpu.mapPage(page, DmaDirection.BIDIRECTIONAL);
        bench.read(iova);

        gpu.unmap(iova, PAGE, DmaDirection.BIDIRECTIONAL);

        assertThat(bench.write(iova, 7)).isTrue();
        assertThat(bench.load(page)).isEqualTo(7);
    }

    @ParameterizedTest
    @ValueSource(strings = {"intel-sc", "amd", "riscv"})
    void theSegmentsOfAScatterListReachItsPieces(String machine) {
        DmaBench bench = DmaBench.flat(machine, "7.3", DefaultDomainPolicy.DMA_FQ);
        DmaDevice gpu = bench.dma.bind(DmaBench.GPU, DmaParameters.DEFAULT.withMask(-1L));
        long first = bench.buffer(1);
        long second = bench.buffer(0);
        bench.store(first + 0x1800, 1);
        bench.store(second, 2);
        ScatterList list = new ScatterList().add(first + 0x1800, 0x800).add(second, 0x1000);

        assertThat(gpu.mapScatter(list, DmaDirection.TO_DEVICE)).isEqualTo(1);
        assertThat(bench.read(list.dmaAddress(0))).contains(1L);
        assertThat(bench.read(list.dmaAddress(0) + 0x800)).contains(2L);
        assertThat(bench.write(list.dmaAddress(0), 3)).as("to the device only").isFalse();
        long iova = list.dmaAddress(0);
        gpu.unmapScatter(list, DmaDirection.TO_DEVICE);
        bench.dma.advance(10);
        assertThat(bench.read(iova)).isEmpty();
        assertThat(bench.read(iova + 0x800)).isEmpty();
    }

    /**
     * The device goes past the caches in both directions, and the driver sees to it that they hide nothing. On a
     * machine with caches the same transfers without the calls are stale.
     */
    @ParameterizedTest
    @ValueSource(strings = {"riscv"})
    void aDeviceThatIsNotCoherentSeesWhatTheDriverHandsItAndBack(String machine) {
        DmaBench bench = DmaBench.cached(machine, "7.3", DefaultDomainPolicy.DMA);
        DmaDevice gpu = bench.dma.bind(DmaBench.GPU, DmaParameters.DEFAULT.notCoherent());
        Processor cpu = bench.machine.processors().get(1);
        long buffer = bench.buffer(0);
        cpu.store(buffer, 1, MemoryType.WB);

        long iova = gpu.map(buffer, 128, DmaDirection.BIDIRECTIONAL);
        assertThat(bench.endpoint().read(iova, true)).as("handed over by map").isEqualTo(1);
        cpu.store(buffer, 2, MemoryType.WB);
        assertThat(bench.endpoint().read(iova, true)).as("stale").isEqualTo(1);
        gpu.syncForDevice(iova, 64, DmaDirection.BIDIRECTIONAL);
        assertThat(bench.endpoint().read(iova, true)).isEqualTo(2);

        cpu.load(buffer, MemoryType.WB);
        bench.endpoint().write(iova, 3, true);
        assertThat(cpu.load(buffer, MemoryType.WB)).as("stale").isEqualTo(2);
        gpu.syncForCpu(iova, 64, DmaDirection.BIDIRECTIONAL);
        assertThat(cpu.load(buffer, MemoryType.WB)).isEqualTo(3);
        bench.endpoint().write(iova, 4, true);
        gpu.unmap(iova, 128, DmaDirection.BIDIRECTIONAL);
        assertThat(cpu.load(buffer, MemoryType.WB)).as("handed back by unmap").isEqualTo(4);

        CoherentBuffer ring = gpu.allocateCoherentAtomic(PAGE);
        assertThat(bench.endpoint().read(ring.dmaAddress() + 8, true)).isZero();
        cpu.store(ring.physicalAddress(8), 5, ring.memoryType());
        assertThat(bench.endpoint().read(ring.dmaAddress() + 8, true)).isEqualTo(5);
        gpu.freeCoherent(ring);
        gpu.close();
        bench.close();
    }

    /** Of AMD's v1 tables until 6.16: all 64 bits of addresses are flushed. */
    @ParameterizedTest
    @CsvSource({"amd, 5.15", "amd, 6.16", "intel-sc, 5.15"})
    void aFlushCoversTheWholeAperture(String machine, String release) {
        DmaOptions options = DmaOptions.of(new BootOptions("iommu.forcedac"));
        DmaBench bench = DmaBench.flat(machine, release, DefaultDomainPolicy.DMA_FQ, options);
        DmaDevice gpu = bench.dma.bind(DmaBench.GPU, -1L);
        assertThat(bench.group.type()).isEqualTo(DefaultDomainPolicy.DMA_FQ);
        long iova = gpu.mapPage(bench.buffer(0), DmaDirection.BIDIRECTIONAL);
        assertThat(iova & -PAGE).isEqualTo(bench.group.defaultDomain().apertureEnd() & -PAGE);
        assertThat(bench.write(iova, 1)).isTrue();
        gpu.unmap(iova, PAGE, DmaDirection.BIDIRECTIONAL);
        assertThat(bench.write(iova, 1)).isTrue();

        bench.dma.advance(10);

        assertThat(bench.write(iova, 1)).isFalse();
    }
}
