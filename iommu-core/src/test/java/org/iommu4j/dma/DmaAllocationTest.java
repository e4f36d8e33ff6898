// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.testvendor.TestFunction;
import org.iommu4j.core.testvendor.TestIommu;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
import org.junit.jupiter.api.Test;

class DmaAllocationTest {
    private final IommuCore core =
            IommuCore.open(new TestIommu(), TestFunction.topology(TestFunction.endpoint("00:02.0")));
    private final DmaDevice device =
            new DmaApi(core, new FlatMemory(1 << 20), new FramePool(0, 1 << 20)).bind(PciAddress.parse("00:02.0"));
    private final long[] ring = new long[256];

    @Test
    void mappingAndUnmappingAllocateNothing() {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        mapAndUnmap(10_000);

        // The least of a few rounds: what allocates does so in every one, what the virtual machine adds comes once.
        long allocated = Long.MAX_VALUE;
        for (int round = 0; round < 8 && allocated != 0; round++) {
            long before = threads.getCurrentThreadAllocatedBytes();
            mapAndUnmap(100_000);
            allocated = Math.min(allocated, threads.getCurrentThreadAllocatedBytes() - before);
        }

        assertThat(device.mappings()).isEqualTo(ring.length);
        assertThat(allocated).isZero();
    }

    /** A ring of buffers, each freed a while after it was mapped, in an order that leaves holes. */
    private void mapAndUnmap(int times) {
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
