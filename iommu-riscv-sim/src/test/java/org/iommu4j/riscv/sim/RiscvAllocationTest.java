// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.riscv.sim.Bench.DEVICE;
import static org.iommu4j.riscv.sim.Bench.NO_PASID;
import static org.iommu4j.riscv.sim.Bench.PAGE;
import static org.iommu4j.riscv.sim.Bench.PDTV;
import static org.iommu4j.riscv.sim.Bench.READ;
import static org.iommu4j.riscv.sim.Bench.SV39;
import static org.iommu4j.riscv.sim.Bench.V;
import static org.iommu4j.riscv.sim.Bench.WRITE;
import static org.iommu4j.riscv.sim.Bench.leaf;
import static org.iommu4j.riscv.sim.Bench.ppn;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.function.IntConsumer;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.junit.jupiter.api.Test;

/** What translating allocates: nothing, as long as the device's and the process's contexts are cached. */
class RiscvAllocationTest {
    private static final int REQUESTS = 100_000;
    private static final int PAGES = 4096;

    private final Bench bench = Bench.full().on();

    private void aProcessOfAGuest() {
        long guest = bench.guestTables();
        long directory = bench.newPage();
        long root = bench.newPage();
        bench.device(DEVICE, V | PDTV | 1 << 9, SV39 | ppn(guest), 0, 1L << 60 | ppn(directory));
        bench.memory.poke(directory, 1);
        bench.memory.poke(directory + 8, SV39 | ppn(root));
        for (long page = 0; page < 64; page++) {
            bench.map(root, 3, page << 12, 0, leaf(page << 12, PAGE));
        }
    }

    /** Returns the fewest bytes of several attempts: the compiler's own allocations come early. */
    private static long allocated(IntConsumer request) {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long thread = Thread.currentThread().getId();
        long fewest = Long.MAX_VALUE;
        for (int attempt = 0; attempt < 5 && fewest != 0; attempt++) {
            long before = threads.getThreadAllocatedBytes(thread);
            for (int i = 0; i < REQUESTS; i++) {
                request.accept(i);
            }
            fewest = Math.min(fewest, threads.getThreadAllocatedBytes(thread) - before);
        }
        return fewest;
    }

    @Test
    void aHitAllocatesNothing() {
        aProcessOfAGuest();
        assertThat(allocated(
                        i -> bench.unit.translate(DEVICE, NO_PASID, (i & 63) << 12 | 8, (i & 1) == 0 ? READ : WRITE)))
                .isZero();
    }

    /** On a flat machine's memory, which allocates nothing itself, with more pages than the cache has room for. */
    @Test
    void aWalkAllocatesNothing() {
        MachineFactory factory = MachineFactory.load();
        Machine machine = factory.createFlat(factory.named("riscv-small"));
        SystemMemory words = machine.memory(0);
        long directory = 0x10_0000;
        long root = directory + 0x3000;
        long middle = root + 0x1000;
        long low = middle + 0x1000;
        words.store(directory, table(directory + 0x1000));
        words.store(directory + 0x1000, table(directory + 0x2000));
        words.store(directory + 0x2000 + 24, SV39 | ppn(root));
        words.store(directory + 0x2000, V);
        words.store(root, table(middle));
        for (long page = 0; page < PAGES; page++) {
            words.store(middle + (page >>> 9) * 8, table(low + (page >>> 9 << 12)));
            words.store(low + page * 8, leaf(0x100_0000 + (page << 12), PAGE));
        }
        TranslationUnit unit = machine.units().get(0);
        unit.writeRegister64(16, directory >>> 12 << 10 | 4);
        unit.step();

        assertThat(Translation.address(unit.translate(0, NO_PASID, 0x5_5008, READ)))
                .isEqualTo(0x105_5008);
        assertThat(allocated(i -> unit.translate(0, NO_PASID, (long) (i & (PAGES - 1)) << 12, READ)))
                .isZero();
    }

    private static long table(long page) {
        return page >>> 12 << 10 | 1;
    }
}
