// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.riscv.sim.Bench.DEVICE;
import static org.iommu4j.riscv.sim.Bench.NO_PASID;
import static org.iommu4j.riscv.sim.Bench.PAGE;
import static org.iommu4j.riscv.sim.Bench.PDTV;
import static org.iommu4j.riscv.sim.Bench.READ;
import static org.iommu4j.riscv.sim.Bench.SADE;
import static org.iommu4j.riscv.sim.Bench.SV39;
import static org.iommu4j.riscv.sim.Bench.SV48;
import static org.iommu4j.riscv.sim.Bench.V;
import static org.iommu4j.riscv.sim.Bench.cause;
import static org.iommu4j.riscv.sim.Bench.leaf;
import static org.iommu4j.riscv.sim.Bench.ppn;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.iommu4j.sim.spi.Translation;
import org.junit.jupiter.api.Test;

/** What the unit remembers, and which commands make it forget. */
class RiscvCachesTest {
    private static final long OLD = 0x9_8765_4000L;
    private static final long NEW = 0x1_2345_6000L;
    private static final long IOVA = 0x40_0000L;
    private static final long PSCID = 5;
    private static final long GSCID = 7;

    // Operands
    private static final long VMA = 1;
    private static final long GVMA = 1 | 1 << 7;
    private static final long DDT = 3;
    private static final long PDT = 3 | 1 << 7;
    private static final long AV = 1 << 10;
    private static final long PSCV = 1L << 32;
    private static final long GV = 1L << 33;
    private static final long NL = 1L << 34;
    private static final long DV = 1L << 33;
    private static final long S = 1 << 9;

    private final Bench bench = Bench.full().on();
    private final long root = bench.newPage();

    private static long address(long address) {
        return address >>> 12 << 10;
    }

    private static long pscid(long pscid) {
        return PSCV | pscid << 12;
    }

    private static long guest(long gscid) {
        return GV | gscid << 44;
    }

    private long reads(long address) {
        return Translation.address(bench.read(address));
    }

    /** Maps an address, has it read, and changes it. */
    private void stale(long address, long flags) {
        bench.map(root, 4, address, 0, leaf(OLD, PAGE | flags));
        assertThat(reads(address)).isEqualTo(OLD);
        bench.map(root, 4, address, 0, leaf(NEW, PAGE | flags));
        assertThat(reads(address)).as("before a command").isEqualTo(OLD);
    }

    private void host() {
        bench.device(DEVICE, V, 0, PSCID << 12, SV48 | ppn(root));
    }

    @Test
    void aPageIsForgottenByEachCommandThatSubsumesItAndNoOther() {
        host();
        long[][] subsuming = {
            {VMA, 0},
            {VMA | pscid(PSCID), 0},
            {VMA | AV, address(IOVA)},
            {VMA | AV | pscid(PSCID), address(IOVA)},
            {VMA | AV | NL, address(IOVA)},
            {VMA | AV | NL | pscid(PSCID), address(IOVA)},
            {VMA | AV, address(IOVA | 0x3000) | S},
            {VMA | AV, address(Long.MAX_VALUE) | S}
        };
        for (long[] command : subsuming) {
            stale(IOVA, 0);
            bench.command(command);
            assertThat(reads(IOVA))
                    .as("after 0x%x 0x%x", command[0], command[1])
                    .isEqualTo(NEW);
            bench.command(VMA, 0);
        }
        long[][] others = {
            {VMA | pscid(PSCID + 1), 0},
            {VMA | guest(0), 0},
            {VMA | AV, address(IOVA + 0x1000)},
            {VMA | AV | NL, address(IOVA + 0x1000)},
            {VMA | AV | pscid(PSCID + 1), address(IOVA)},
            {VMA | AV, address(IOVA + 0x8000) | S},
            {GVMA, 0},
            {DDT, 0},
            {2, 0}
        };
        stale(IOVA, 0);
        for (long[] command : others) {
            bench.command(command);
            assertThat(reads(IOVA))
                    .as("after 0x%x 0x%x", command[0], command[1])
                    .isEqualTo(OLD);
        }
    }

    @Test
    void aGlobalPageSurvivesCommandsOfOneAddressSpace() {
        host();
        stale(IOVA, Pte.G);
        bench.command(VMA | pscid(PSCID), 0, VMA | AV | pscid(PSCID), address(IOVA));
        assertThat(reads(IOVA)).isEqualTo(OLD);
        bench.command(VMA | AV, address(IOVA));
        assertThat(reads(IOVA)).isEqualTo(NEW);
    }

    @Test
    void anEntryThatLeadsToATableStaysUntilACommandReachesIt() {
        host();
        stale(IOVA, 0);
        // The table of level 1 is replaced by an empty one.
        long level2 = bench.memory.peek(root) >>> 10 << 12;
        long level1 = bench.memory.peek(level2) >>> 10 << 12;
        bench.memory.poke(level1 + (IOVA >>> 21) * 8, leaf(bench.newPage(), V));
        bench.command(VMA | AV, address(IOVA));
        assertThat(reads(IOVA)).as("leaves only").isEqualTo(NEW);
        bench.command(VMA | AV | NL, address(IOVA));
        assertThat(cause(bench.read(IOVA))).isEqualTo(13);
    }

    @Test
    void whatIsNotValidIsNotRemembered() {
        assertThat(cause(bench.read(IOVA))).isEqualTo(258);
        bench.device(DEVICE, V, 0, PSCID << 12, SV48 | ppn(root));
        assertThat(cause(bench.read(IOVA))).isEqualTo(13);
        bench.map(root, 4, IOVA, 0, leaf(OLD, PAGE));
        assertThat(reads(IOVA)).isEqualTo(OLD);
    }

    @Test
    void aContextStaysUntilItsDirectoryCommand() {
        host();
        stale(IOVA, 0);
        bench.device(DEVICE, 0);
        bench.command(VMA, 0);
        assertThat(reads(IOVA)).as("IOTINVAL").isEqualTo(NEW);
        bench.command(DDT | DV | (long) (DEVICE + 1) << 40, 0);
        assertThat(reads(IOVA)).as("another device").isEqualTo(NEW);
        bench.command(DDT | DV | (long) DEVICE << 40, 0);
        assertThat(cause(bench.read(IOVA))).isEqualTo(258);
    }

    @Test
    void directoriesAboveTheContextAreForgottenWithAllDevices() {
        host();
        stale(IOVA, 0);
        bench.memory.poke(0x1_0000 + (DEVICE >>> 15) * 8, 0);
        bench.command(DDT | DV | (long) DEVICE << 40, 0, VMA, 0);
        assertThat(reads(IOVA)).isEqualTo(NEW);
        bench.command(DDT, 0);
        assertThat(cause(bench.read(IOVA))).isEqualTo(258);
    }

    @Test
    void aProcessStaysUntilItsCommandOrItsDevices() {
        long directory = bench.newPage();
        bench.device(DEVICE, V | PDTV, 0, 0, 1L << 60 | ppn(directory));
        bench.memory.poke(directory + 3 * 16, 1);
        bench.memory.poke(directory + 3 * 16 + 8, SV48 | ppn(root));
        bench.map(root, 4, IOVA, 0, leaf(OLD, PAGE));
        long device = DV | (long) DEVICE << 40;
        for (long[] command : new long[][] {{PDT | device | 3 << 12, 0}, {DDT | device, 0}, {DDT, 0}}) {
            assertThat(cause(bench.unit.translate(DEVICE, 3, IOVA, READ))).isZero();
            bench.memory.poke(directory + 3 * 16, 0);
            bench.command(VMA, 0, PDT | device | 4 << 12, 0);
            assertThat(cause(bench.unit.translate(DEVICE, 3, IOVA, READ))).isZero();
            bench.command(command);
            assertThat(cause(bench.unit.translate(DEVICE, 3, IOVA, READ))).isEqualTo(266);
            bench.memory.poke(directory + 3 * 16, 1);
        }
    }

    @Test
    void aGuestsPagesAreForgottenByTheCommandOfTheirStage() {
        long guestPage = 0x6000_5000L;
        long guest = bench.guestTables();
        bench.device(DEVICE, V, SV39 | GSCID << 44 | ppn(guest), PSCID << 12, SV48 | ppn(root));
        bench.map(root, 4, IOVA, 0, leaf(guestPage, PAGE));
        bench.map(guest, 3, guestPage, 0, leaf(OLD, PAGE));
        bench.map(guest, 3, guestPage + 0x1000, 0, leaf(OLD + 0x1000, PAGE));
        assertThat(reads(IOVA)).isEqualTo(OLD);

        bench.map(guest, 3, guestPage, 0, leaf(NEW, PAGE));
        bench.command(VMA | guest(GSCID), 0, GVMA | guest(GSCID + 1), 0);
        bench.command(GVMA | AV | guest(GSCID), address(guestPage + 0x1000));
        assertThat(reads(IOVA)).isEqualTo(OLD);
        bench.command(GVMA | AV | guest(GSCID), address(guestPage));
        assertThat(reads(IOVA)).isEqualTo(NEW);

        bench.map(root, 4, IOVA, 0, leaf(guestPage + 0x1000, PAGE));
        bench.command(GVMA, 0, VMA, 0, VMA | guest(GSCID + 1), 0);
        assertThat(reads(IOVA)).as("GVMA, the host's VMA, another guest's").isEqualTo(NEW);
        bench.command(VMA | AV | guest(GSCID) | pscid(PSCID), address(IOVA));
        assertThat(reads(IOVA)).isEqualTo(OLD + 0x1000);
    }

    @Test
    void aCleanPageIsWalkedAgainForAWrite() {
        bench.device(DEVICE, V | SADE, 0, PSCID << 12, SV48 | ppn(root));
        long pte = bench.map(root, 4, IOVA, 0, leaf(OLD, 0x57));
        bench.read(IOVA);
        bench.memory.poke(pte, 0);
        assertThat(reads(IOVA)).isEqualTo(OLD);
        assertThat(cause(bench.write(IOVA))).isEqualTo(15);
    }

    @Test
    void manyPagesPushOthersOut() {
        bench.device(DEVICE, V, 0, PSCID << 12, SV48 | ppn(root));
        for (long page = 0; page < 4096; page++) {
            bench.map(root, 4, page << 12, 0, leaf(OLD, PAGE));
            bench.read(page << 12);
            bench.map(root, 4, page << 12, 0, leaf(NEW, PAGE));
        }
        int remembered = 0;
        for (long page = 4095; page >= 0; page--) {
            remembered += Translation.address(bench.read(page << 12)) == OLD ? 1 : 0;
        }
        assertThat(remembered).isBetween(256, 1024);
    }

    /** A change is seen by every request that begins after the fence; a walk in between keeps nothing old. */
    @Test
    void threadsSeeAnInvalidationThatIsComplete() throws InterruptedException {
        host();
        long pte = bench.map(root, 4, IOVA, 0, leaf(OLD, PAGE));
        AtomicLong floor = new AtomicLong();
        AtomicBoolean stop = new AtomicBoolean();
        AtomicLong wrong = new AtomicLong(-1);
        Thread reader = new Thread(() -> {
            while (!stop.get()) {
                long atLeast = floor.get();
                long got = (Translation.address(bench.unit.translate(DEVICE, NO_PASID, IOVA, READ)) - OLD) >>> 12;
                if (got < atLeast) {
                    wrong.compareAndSet(-1, atLeast);
                }
            }
        });
        reader.start();
        for (int version = 1; version < 2000; version++) {
            bench.memory.poke(pte, leaf(OLD + version * 0x1000L, PAGE));
            bench.command(VMA | AV | pscid(PSCID), address(IOVA), 2, 0);
            floor.set(version);
        }
        stop.set(true);
        reader.join();
        assertThat(wrong).as("a version that was over").hasValue(-1);
    }
}
