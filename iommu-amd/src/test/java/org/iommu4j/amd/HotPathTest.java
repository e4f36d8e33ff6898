// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.Set;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.junit.jupiter.api.Test;

/** Mapping, translating, unmapping and syncing allocate nothing. */
class HotPathTest {
    private static final int OPERATIONS = 100_000;
    private static final long K4 = 4096;

    @Test
    void mapTranslateUnmapAndSyncAllocateNothing() {
        TestPlatform platform = new TestPlatform();
        AmdIommu iommu = platform.open();
        IommuDevice device = iommu.probe(platform.function(0, 1, 0, 0)).orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        domain.attach(device);
        platform.recording = false;
        IotlbGather gather = new IotlbGather();
        domain.map(0x3f_f000, 0, K4, 1, Prot.READ);
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        work(domain, gather);
        // The least of a few rounds: what allocates does so in every one, what the virtual machine adds comes once.
        long least = Long.MAX_VALUE;
        for (int round = 0; round < 8 && least != 0; round++) {
            long before = threads.getCurrentThreadAllocatedBytes();
            work(domain, gather);
            least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
        }
        assertThat(least).isZero();
    }

    @Test
    void guestTablesAllocateNothingEither() {
        TestPlatform platform = new TestPlatform();
        // PPRSup, GTSup, PASmax 15, GIoSup.
        platform.efr |= 1 << 1 | 1 << 4 | 15L << 32 | 1L << 48;
        AmdIommu iommu = platform.open();
        IommuDevice device = iommu.probe(platform.expressFunction(1, 0, 16)).orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.PASID));
        domain.attach(device);
        domain.pasidAttachment().orElseThrow().attach(device, 5);
        platform.recording = false;
        IotlbGather gather = new IotlbGather();
        domain.map(0x3f_f000, 0, K4, 1, Prot.READ);
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        guestWork(domain, gather);
        long least = Long.MAX_VALUE;
        for (int round = 0; round < 8 && least != 0; round++) {
            long before = threads.getCurrentThreadAllocatedBytes();
            guestWork(domain, gather);
            least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
        }
        assertThat(least).isZero();
    }

    private static void guestWork(IommuDomain domain, IotlbGather gather) {
        for (int i = 0; i < OPERATIONS; i++) {
            domain.map(0x20_0000L, 0x10_0000, K4, 64, Prot.READ_WRITE);
            domain.syncMap(0x20_0000L, 64 * K4);
            if (domain.translate(0x20_1000L) != 0x10_1000) {
                throw new AssertionError("not mapped");
            }
            domain.unmap(0x20_0000L, 64 * K4, gather);
            domain.sync(gather);
        }
    }

    @Test
    void detachingAllocatesNothing() {
        TestPlatform platform = new TestPlatform();
        AmdIommu iommu = platform.open();
        IommuDevice device = iommu.probe(platform.function(0, 1, 0, 0)).orElseThrow();
        assertThat(iommu.probe(platform.function(0, 1, 0, 1))).isPresent();
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        platform.recording = false;
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long least = Long.MAX_VALUE;
        for (int i = 0; i < 1000; i++) {
            domain.attach(device);
            long before = threads.getCurrentThreadAllocatedBytes();
            domain.detach(device);
            least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
        }
        assertThat(least).isZero();
    }

    private static void work(IommuDomain domain, IotlbGather gather) {
        for (int i = 0; i < OPERATIONS; i++) {
            long iova = 0x20_0000L + (i & 127) * K4;
            domain.map(iova, 0x10_0000, K4, 1, Prot.READ_WRITE | Prot.CACHE);
            domain.syncMap(iova, K4);
            if (domain.translate(iova) != 0x10_0000) {
                throw new AssertionError("not mapped");
            }
            domain.unmap(iova, K4, gather);
            domain.map(0x20_0000L, 0x10_0000, K4, 256, Prot.READ_WRITE);
            domain.unmap(0x20_0000L, 256 * K4, gather);
            domain.map(0x20_0000L, 0x10_0000, 1L << 16, 2, Prot.READ_WRITE);
            domain.unmap(0x20_0000L, 1L << 17, gather);
            domain.sync(gather);
        }
    }
}
