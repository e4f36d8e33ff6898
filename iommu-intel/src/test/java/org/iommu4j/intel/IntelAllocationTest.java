// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.intel.acpi.DmarBytes;
import org.junit.jupiter.api.Test;

/** Hot paths allocate nothing: mapping with and without tables to install, unmapping, syncing, walking. */
class IntelAllocationTest {
    private static final int OPERATIONS = 100_000;
    private static final long K4 = 4096;

    @Test
    void aSecondStageAllocatesNothing() {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP_NONCOHERENT);
        assertAllocatesNothing(bench, "vtd-second-stage");
    }

    @Test
    void aFirstStageWithADeviceTlbAllocatesNothing() {
        Bench bench = new Bench();
        bench.unit(0xfed90000L, Bench.CAP_LARGE, Bench.ECAP_SCALABLE & ~(1L << 48));
        bench.cachingFunction("0000:00:02.0", 8);
        bench.dmar = new DmarBytes(48, 1).drhd(true, 0, 0xfed90000L).bytes();
        assertAllocatesNothing(bench, "vtd-first-stage");
    }

    private static void assertAllocatesNothing(Bench bench, String format) {
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, "0000:00:02.0");
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        assertThat(domain.format()).isEqualTo(format);
        domain.attach(device);
        IotlbGather gather = new IotlbGather();
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long sum = run(domain, gather, OPERATIONS);
        // The least of a few rounds: a compilation that ends in one round may allocate on this thread's account.
        long allocated = Long.MAX_VALUE;
        for (int round = 0; round < 8 && allocated != 0; round++) {
            long before = threads.getThreadAllocatedBytes(Thread.currentThread().getId());
            sum += run(domain, gather, OPERATIONS);
            allocated = Math.min(
                    allocated,
                    threads.getThreadAllocatedBytes(Thread.currentThread().getId()) - before);
        }

        assertThat(sum).isNotZero();
        assertThat(allocated).as("bytes over " + OPERATIONS + " operations").isZero();
    }

    private static long run(IommuDomain domain, IotlbGather gather, int operations) {
        long sum = 0;
        for (int i = 0; i < operations; i++) {
            long iova = (i & 1023) * 2L * 1024 * 1024;
            domain.map(iova, iova, K4, 512, Prot.READ_WRITE);
            sum += domain.translate(iova + 5);
            sum += domain.unmap(iova, 512 * K4, gather);
            if ((i & 31) == 0) {
                domain.sync(gather);
            }
        }
        return sum;
    }
}
