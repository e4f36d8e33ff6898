// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.List;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.cache.CacheHierarchy;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.CacheFeatures;
import org.iommu4j.sim.spi.MachineDescription;
import org.junit.jupiter.api.Test;

/** Hot paths allocate nothing over 100,000 operations, once the lines and frames they use were touched. */
class MachineAllocationTest {
    private static final int OPERATIONS = 100_000;
    private static final long PAGE = 0x8000000;
    private static final long IOVA = OffsetUnitProvider.OFFSET + PAGE;

    private final MachineFactory factory = new MachineFactory(List.of(new OffsetUnitProvider()));
    private final Machine machine = factory.create(OffsetUnitProvider.ordinary());
    private final Processor cpu = machine.processors().get(0);
    private final SystemMemory memory = machine.memory(0);
    private final Endpoint gpu = machine.endpoint(BuiltInTopology.GPU);

    private interface Operation {
        void run(int i);
    }

    /** What allocates does so in every round; what a round adds once is the virtual machine compiling. */
    private static void assertAllocatesNothing(Operation operation) {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long thread = Thread.currentThread().getId();
        long least = Long.MAX_VALUE;
        for (int round = 0; round < 8 && least != 0; round++) {
            long before = threads.getThreadAllocatedBytes(thread);
            for (int i = 0; i < OPERATIONS; i++) {
                operation.run(i);
            }
            least = Math.min(least, threads.getThreadAllocatedBytes(thread) - before);
        }
        assertThat(least).isZero();
    }

    @Test
    void cacheHits() {
        assertAllocatesNothing(i -> {
            cpu.store(PAGE, i, MemoryType.WB);
            cpu.load(PAGE, MemoryType.WB);
        });
    }

    @Test
    void cacheMissesWithEvictions() {
        // 16 lines for the 8 ways of one private set.
        assertAllocatesNothing(i -> cpu.store(PAGE + 0x8000L * (i & 15), i, MemoryType.WB));
    }

    @Test
    void linesThatMoveBetweenCpus() {
        Processor other = machine.processors().get(1);
        assertAllocatesNothing(i -> {
            cpu.store(PAGE, i, MemoryType.WB);
            other.load(PAGE, MemoryType.WB);
        });
    }

    @Test
    void flushesAndUncachedAccesses() {
        assertAllocatesNothing(i -> {
            cpu.store(PAGE, i, MemoryType.WB);
            cpu.clflush(PAGE);
            cpu.store(PAGE, i, MemoryType.UC);
            cpu.load(PAGE, MemoryType.UC);
            if (i % 256 == 0) {
                cpu.wbinvd();
            }
        });
    }

    @Test
    void accessesOfEveryTypeAndEveryInstruction() {
        MemoryType[] types = MemoryType.values();
        assertAllocatesNothing(i -> {
            MemoryType type = types[i % types.length];
            long word = PAGE + 64L * (i & 31);
            cpu.store(word, i, type);
            cpu.load(word, type);
            cpu.clflushopt(word);
            cpu.clwb(word + 64);
            if (i % 64 == 0) {
                cpu.sfence();
                cpu.wbnoinvd();
                cpu.invd();
            }
        });
    }

    @Test
    void inclusiveCachesThatTakeTheWritesOfDevices() {
        MachineDescription description = OffsetUnitProvider.litmus();
        Machine small = factory.create(description.withProcessors(description
                .processors()
                .withFeatures(CacheFeatures.ORDINARY.withInclusive(true).withDataDirectIo(true))));
        Processor first = small.processors().get(0);
        Processor second = small.processors().get(1);
        CacheHierarchy caches = small.caches().orElseThrow();
        assertAllocatesNothing(i -> {
            long word = 0x4000 + 64L * (i & 15);
            first.store(word, i, MemoryType.WB);
            second.load(word + 64, MemoryType.WB);
            caches.deviceWrite(word + 128, i, true);
            second.wbinvd();
        });
    }

    @Test
    void runsAndWriteBacks() {
        assertAllocatesNothing(i -> {
            memory.storeRun(PAGE, i, 4096, 64);
            memory.leadingSet(PAGE, -1, 64);
            memory.leadingClear(PAGE, 1, 64);
            memory.writeBack(PAGE, 512);
        });
    }

    @Test
    void snoopedAndUnsnoopedDma() {
        assertAllocatesNothing(i -> {
            gpu.write(IOVA, i, (i & 1) == 0);
            gpu.read(IOVA, (i & 2) == 0);
        });
    }

    @Test
    void dmaOverFlatMemory() {
        Endpoint flat = factory.createFlat(OffsetUnitProvider.ordinary()).endpoint(BuiltInTopology.GPU);
        assertAllocatesNothing(i -> {
            flat.write(IOVA, i, true);
            flat.read(IOVA, true);
        });
    }

    @Test
    void resettingWhatWasTouchedBefore() {
        assertAllocatesNothing(i -> {
            cpu.store(PAGE, i, MemoryType.WB);
            cpu.clflush(PAGE);
            machine.reset();
        });
    }
}
