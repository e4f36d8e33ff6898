// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.iommu4j.it.domain.Bench.IOVA;
import static org.iommu4j.it.domain.Bench.READ_WRITE;
import static org.iommu4j.it.domain.Bench.SCRATCH;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.core.IommuMapper;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.TranslationUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What runs for every mapping, every request and every memory access allocates nothing: 0 bytes over 100,000
 * operations.
 */
class HotPathAllocationTest {
    private static final int OPERATIONS = 100_000;
    private static final long PAGE = 4096;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private static final int ROUNDS = 8;

    private static volatile long sink;
    private static volatile Object box;

    static List<Configuration> configurations() {
        List<Configuration> all = new ArrayList<>();
        for (Configuration configuration : List.of(
                IntelConfigurations.configurations().get(0),
                IntelConfigurations.configurations().get(5),
                AmdConfigurations.configurations().get(0),
                AmdConfigurations.configurations().get(4),
                DomainConfigurations.smallest())) {
            all.add(configuration);
            all.add(configuration.flat());
        }
        return all;
    }

    /**
     * Counts bytes over so many operations. The compiler's own turns (a method replaced while it runs) can leave a few
     * bytes to the thread, so that the first clean round counts; what allocates in any operation is clean in none.
     */
    private static void assertAllocatesNothing(String what, int operations, Runnable operation) {
        long thread = Thread.currentThread().getId();
        long bytes = -1;
        for (int round = 0; round < ROUNDS && bytes != 0; round++) {
            long before = THREADS.getThreadAllocatedBytes(thread);
            for (int i = 0; i < operations; i++) {
                operation.run();
            }
            bytes = THREADS.getThreadAllocatedBytes(thread) - before;
        }
        assertThat(bytes).as("%s: bytes over %d operations", what, operations).isZero();
    }

    @Test
    void theCounterSeesAnAllocation() {
        assertThatThrownBy(() -> assertAllocatesNothing("boxing", OPERATIONS, () -> box = new long[1]))
                .isInstanceOf(AssertionError.class);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void mappingUnmappingAndTranslating(Configuration configuration) {
        Bench bench = new Bench(configuration);
        IommuDomain domain = bench.attached();
        IotlbGather gather = new IotlbGather();
        bench.map(domain, IOVA - PAGE, SCRATCH);
        // The table itself is there and stays: only part of what it covers is mapped and unmapped.
        bench.map(domain, IOVA, SCRATCH);

        assertAllocatesNothing("map and unmap a page", OPERATIONS, () -> {
            domain.map(IOVA + 8 * PAGE, SCRATCH, PAGE, 1, READ_WRITE);
            domain.syncMap(IOVA + 8 * PAGE, PAGE);
            domain.unmap(IOVA + 8 * PAGE, PAGE, gather);
            domain.sync(gather);
        });
        assertAllocatesNothing("map and unmap 256 pages", OPERATIONS / 256, () -> {
            domain.map(IOVA + 8 * PAGE, SCRATCH, PAGE, 256, READ_WRITE);
            domain.syncMap(IOVA + 8 * PAGE, 256 * PAGE);
            domain.unmap(IOVA + 8 * PAGE, 256 * PAGE, gather);
            domain.sync(gather);
        });
        assertAllocatesNothing("map and unmap 2 MiB with its tables", OPERATIONS / 512, () -> {
            domain.map(IOVA + (1L << 30), SCRATCH, PAGE, 512, READ_WRITE);
            domain.syncMap(IOVA + (1L << 30), 512 * PAGE);
            domain.unmap(IOVA + (1L << 30), 512 * PAGE, gather);
            domain.sync(gather);
        });
        assertAllocatesNothing("translate", OPERATIONS, () -> sink = domain.translate(IOVA + 8));
        assertAllocatesNothing("core's splitting", OPERATIONS, () -> {
            IommuMapper.map(domain, IOVA + 8 * PAGE, SCRATCH, 3 * PAGE, READ_WRITE);
            IommuMapper.unmap(domain, IOVA + 8 * PAGE, 3 * PAGE, gather);
        });
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void requestsOfDevices(Configuration configuration) {
        Bench bench = new Bench(configuration);
        IommuDomain domain = bench.attached();
        bench.map(domain, IOVA, SCRATCH, PAGE, 2048, READ_WRITE);
        Endpoint endpoint = bench.endpoint();
        TranslationUnit unit = bench.machine().units().get(0);
        int requester = Bench.DEVICE.requesterId();
        long[] at = new long[1];

        assertAllocatesNothing(
                "IOTLB hit",
                OPERATIONS,
                () -> sink = unit.translate(requester, TranslationUnit.NO_PASID, IOVA, RequestFlags.READ));
        // 2048 pages in turn are more than any IOTLB here holds of one set.
        assertAllocatesNothing("walk", OPERATIONS, () -> {
            at[0] = (at[0] + 257) & 2047;
            sink = unit.translate(requester, TranslationUnit.NO_PASID, IOVA + at[0] * PAGE, RequestFlags.WRITE);
        });
        for (boolean noSnoop : new boolean[] {false, true}) {
            assertAllocatesNothing("read", OPERATIONS, () -> sink = endpoint.read(IOVA + 64, noSnoop));
            assertAllocatesNothing("write", OPERATIONS, () -> endpoint.write(IOVA + 64, 5, noSnoop));
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void memoryAndCaches(Configuration configuration) {
        Bench bench = new Bench(configuration);
        SystemMemory memory = bench.machine().memory(0);
        Processor first = bench.machine().processors().get(0);
        Processor second = bench.machine().processors().get(1);
        long[] at = new long[1];
        // Memory is made on first touch, which is no hot path.
        for (long offset = 0; offset < 16L << 20; offset += PAGE) {
            memory.store(SCRATCH + offset, 1);
        }
        bench.machine().drainCaches();

        assertAllocatesNothing("hit", OPERATIONS, () -> {
            first.store(SCRATCH, 1, MemoryType.WB);
            sink = first.load(SCRATCH, MemoryType.WB);
        });
        assertAllocatesNothing("miss and eviction", OPERATIONS, () -> {
            at[0] = (at[0] + 32768 + 64) & ((16L << 20) - 1);
            first.store(SCRATCH + at[0], 2, MemoryType.WB);
        });
        assertAllocatesNothing("a line that moves between CPUs", OPERATIONS, () -> {
            first.store(SCRATCH, 3, MemoryType.WB);
            second.store(SCRATCH, 4, MemoryType.WB);
        });
        assertAllocatesNothing("uncached", OPERATIONS, () -> {
            first.store(SCRATCH, 5, MemoryType.UC);
            sink = first.load(SCRATCH, MemoryType.UC);
        });
        assertAllocatesNothing("flush", OPERATIONS, () -> {
            first.store(SCRATCH, 6, MemoryType.WB);
            first.clflush(SCRATCH);
            first.mfence();
        });
        assertAllocatesNothing("runs", OPERATIONS / 100, () -> {
            memory.storeRun(SCRATCH, 0, 8, 512);
            sink = memory.leadingClear(SCRATCH, 1, 512);
            sink = memory.leadingSet(SCRATCH, 8, 512);
            memory.writeBack(SCRATCH, PAGE);
        });
        assertAllocatesNothing("WBINVD", 1000, first::wbinvd);
    }
}
