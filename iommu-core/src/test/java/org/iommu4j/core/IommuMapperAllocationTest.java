// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.core.testvendor.TestDomain;
import org.iommu4j.core.testvendor.TestIommu;
import org.junit.jupiter.api.Test;

class IommuMapperAllocationTest {
    private final TestDomain domain = TestDomain.paging(TestIommu.THREE_SIZES, (1L << 48) - 1);
    private final IotlbGather gather = new IotlbGather();

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

        assertThat(domain.mappedPages()).isZero();
        assertThat(allocated).isZero();
    }

    private void mapAndUnmap(int times) {
        for (int i = 0; i < times; i++) {
            long iova = (1L << 21) - 0x1000L * (1 + (i & 1));
            IommuMapper.map(domain, iova, iova, 0x4000, Prot.READ_WRITE | Prot.CACHE);
            IommuMapper.unmap(domain, iova, 0x4000, gather);
        }
    }
}
