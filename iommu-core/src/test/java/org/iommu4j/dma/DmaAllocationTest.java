// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.function.IntConsumer;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.testvendor.TestFunction;
import org.iommu4j.core.testvendor.TestIommu;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Mapping and unmapping allocate nothing. */
class DmaAllocationTest {
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private final long[] ring = new long[256];

    @ParameterizedTest
    @EnumSource(
            value = DefaultDomainPolicy.class,
            names = {"DMA", "DMA_FQ"})
    void mappingAndUnmappingAllocateNothing(DefaultDomainPolicy policy) {
        IommuCore core = IommuCore.open(
                List.of(new TestIommu()), TestFunction.topology(TestFunction.endpoint("00:02.0")), policy);
        DmaDevice device =
                new DmaApi(core, new FlatMemory(1 << 20), new FramePool(0, 1 << 20)).bind(PciAddress.parse("00:02.0"));

        assertThat(leastAllocated(100_000, times -> mapAndUnmap(device, times))).isZero();
        assertThat(device.mappings()).isEqualTo(ring.length);
    }

    @Test
    void bouncingAllocatesNothing() {
        IommuCore core = IommuCore.open(
                new TestIommu(),
                TestFunction.topology(
                        TestFunction.rootPort("00:07.0")
                                .acs(TestFunction.ACS_ALL, 0)
                                .secondaryBus(5)
                                .externalFacingPort(),
                        TestFunction.endpoint("05:00.0").below("00:07.0")));
        DmaDevice dock = new DmaApi(core, new FlatMemory(4 << 20), new FramePool(2 << 20, 1 << 20))
                .bind(PciAddress.parse("05:00.0"));

        assertThat(leastAllocated(10_000, times -> {
                    for (int i = 0; i < times; i++) {
                        long address = dock.map(0x1003 + i, 0x321, DmaDirection.BIDIRECTIONAL);
                        dock.syncForCpu(address, 0x100, DmaDirection.BIDIRECTIONAL);
                        dock.unmap(address, 0x321, DmaDirection.BIDIRECTIONAL);
                    }
                }))
                .isZero();
    }

    @Test
    void scatterListsAllocateNothing() {
        IommuCore core = IommuCore.open(new TestIommu(), TestFunction.topology(TestFunction.endpoint("00:02.0")));
        DmaDevice device =
                new DmaApi(core, new FlatMemory(1 << 20), new FramePool(0, 1 << 20)).bind(PciAddress.parse("00:02.0"));
        ScatterList list = new ScatterList();

        assertThat(leastAllocated(20_000, times -> {
                    for (int i = 0; i < times; i++) {
                        list.clear();
                        for (int piece = 0; piece < 20; piece++) {
                            list.add(0x1000L * (2 * piece + 1), 0x1000);
                        }
                        device.mapScatter(list, DmaDirection.BIDIRECTIONAL);
                        device.unmapScatter(list, DmaDirection.BIDIRECTIONAL);
                    }
                }))
                .isZero();
    }

    /** The least of a few rounds: what allocates does so in every one, what the virtual machine adds comes once. */
    private static long leastAllocated(int times, IntConsumer work) {
        work.accept(times / 10);
        long allocated = Long.MAX_VALUE;
        for (int round = 0; round < 8 && allocated != 0; round++) {
            long before = THREADS.getCurrentThreadAllocatedBytes();
            work.accept(times);
            allocated = Math.min(allocated, THREADS.getCurrentThreadAllocatedBytes() - before);
        }
        return allocated;
    }

    /** A ring of buffers, each freed a while after it was mapped, in an order that leaves holes. */
    private void mapAndUnmap(DmaDevice device, int times) {
        for (int i = 0; i < times; i++) {
            int slot = (i * 37) & (ring.length - 1);
            if (ring[slot] != 0) {
                device.unmap(ring[slot], size(slot), DmaDirection.BIDIRECTIONAL);
            }
            ring[slot] = device.map(0x10000L + i, size(slot), DmaDirection.BIDIRECTIONAL);
        }
    }

    private static long size(int slot) {
        return 0x800L << (slot & 3);
    }
}
