// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.riscv.sim.Bench.CODE;
import static org.iommu4j.riscv.sim.Bench.DEVICE;
import static org.iommu4j.riscv.sim.Bench.GADE;
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

import java.util.List;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.Translation.MemoryType;
import org.junit.jupiter.api.Test;

/** Requests, by tables that are written by hand. */
class RiscvTranslationTest {
    private static final long IOVA = 0x12_3456_7000L;
    private static final long TARGET = 0x9_8765_4000L;

    private final Bench bench = Bench.full().on();

    private long firstStage(long controls, long pte) {
        long root = bench.newPage();
        bench.device(DEVICE, V | controls, 0, 5 << 12, SV48 | ppn(root));
        return bench.map(root, 4, IOVA, 0, pte);
    }

    @Test
    void offRefusesEverythingAndBarePassesUntranslatedRequests() {
        Bench fresh = Bench.full();
        assertThat(cause(fresh.read(IOVA))).isEqualTo(256);
        fresh.unit.writeRegister64(16, 1);
        assertThat(cause(fresh.read(IOVA))).as("until the step").isEqualTo(256);
        fresh.settle();
        assertThat(fresh.read(IOVA)).isEqualTo(Translation.to(IOVA, false));
        assertThat(cause(fresh.unit.passTranslated(DEVICE, NO_PASID, IOVA, READ)))
                .isEqualTo(260);
        assertThat(cause(fresh.read(1L << 57))).as("wider than physical").isEqualTo(5);
    }

    @Test
    void aPageIsTranslatedAndItsNeighbourIsNot() {
        firstStage(0, leaf(TARGET, PAGE));
        assertThat(bench.read(IOVA + 0x123)).isEqualTo(Translation.to(TARGET + 0x123, false));
        assertThat(bench.write(IOVA + 8)).isEqualTo(Translation.to(TARGET + 8, false));
        assertThat(cause(bench.read(IOVA + 0x1000))).isEqualTo(13);
        assertThat(cause(bench.write(IOVA - 0x1000))).isEqualTo(15);
        assertThat(cause(bench.unit.translate(DEVICE, NO_PASID, IOVA, READ | RequestFlags.EXECUTE)))
                .isEqualTo(12);
        assertThat(cause(bench.read(IOVA | 1L << 60))).as("not canonical").isEqualTo(13);
    }

    @Test
    void aRefusedRequestIsRecordedOnce() {
        firstStage(0, leaf(TARGET, PAGE));
        bench.write(IOVA + 0x1234);
        List<long[]> faults = bench.faults();
        assertThat(faults).hasSize(1);
        assertThat(faults.get(0)).containsExactly((long) DEVICE << 40 | 3L << 34 | 15, 0, IOVA + 0x1234, 0);
        assertThat(bench.unit.readRegister32(84) & 2).as("fip").isEqualTo(2);
    }

    @Test
    void aContextWithDtfHidesFaultsOfTranslationOnly() {
        firstStage(Bench.DTF, leaf(TARGET, PAGE));
        assertThat(cause(bench.read(0))).isEqualTo(13);
        assertThat(bench.faults()).isEmpty();
        assertThat(cause(bench.unit.translate(DEVICE + 1, NO_PASID, 0, READ))).isEqualTo(258);
        assertThat(bench.faults()).hasSize(1);
    }

    @Test
    void devicesWithoutAContextAreRefused() {
        assertThat(cause(bench.read(0))).as("no table").isEqualTo(258);
        bench.device(DEVICE, 0);
        assertThat(cause(bench.read(0))).as("not valid").isEqualTo(258);
        bench.device(DEVICE, V | 1 << 12);
        assertThat(cause(bench.read(0))).as("a reserved bit").isEqualTo(259);
        assertThat(cause(bench.unit.translate(1 << 24, NO_PASID, 0, READ)))
                .as("an id of 25 bits")
                .isEqualTo(260);
    }

    @Test
    void superpagesAndRunsOf64KiBAreOnePage() {
        long root = bench.newPage();
        bench.device(DEVICE, V, 0, 0, SV48 | ppn(root));
        bench.map(root, 4, 0x40_0000_0000L, 2, leaf(0x7_4000_0000L, PAGE));
        bench.map(root, 4, 0x20_0000, 1, leaf(0x60_0000, PAGE));
        for (long page = 0; page < 16; page++) {
            bench.map(root, 4, 0x1_0000 + page * 0x1000, 0, 1L << 63 | leaf(0x5_8000, PAGE));
        }
        bench.map(root, 4, 0x80_0000, 1, leaf(0x60_1000, PAGE));

        assertThat(bench.read(0x40_1234_5678L)).isEqualTo(Translation.to(0x7_5234_5678L, false));
        assertThat(bench.read(0x2a_bcd0)).isEqualTo(Translation.to(0x6a_bcd0, false));
        assertThat(bench.read(0x1_fff8)).isEqualTo(Translation.to(0x5_fff8, false));
        assertThat(cause(bench.read(0x80_0000))).as("misaligned").isEqualTo(13);
    }

    @Test
    void accessedAndDirtyAreSetWhereSadeAllowsIt() {
        long without = firstStage(0, leaf(TARGET, 0x17));
        assertThat(cause(bench.read(IOVA))).isEqualTo(13);
        bench.memory.poke(without, leaf(TARGET, 0x57));
        bench.read(IOVA);
        assertThat(cause(bench.write(IOVA))).isEqualTo(15);
        assertThat(bench.memory.peek(without)).isEqualTo(leaf(TARGET, 0x57));

        Bench other = Bench.full().on();
        long root = other.newPage();
        other.device(DEVICE, V | SADE, 0, 0, SV39 | ppn(root));
        long pte = other.map(root, 3, IOVA & 0x3f_ffff_ffffL, 0, leaf(TARGET, 0x17));
        other.read(IOVA & 0x3f_ffff_ffffL);
        assertThat(other.memory.peek(pte)).isEqualTo(leaf(TARGET, 0x57));
        other.write(IOVA & 0x3f_ffff_ffffL);
        assertThat(other.memory.peek(pte)).isEqualTo(leaf(TARGET, 0xd7));
    }

    @Test
    void twoStagesTranslateOneAfterTheOther() {
        long guest = bench.guestTables();
        long root = bench.newPage();
        long guestPage = 0x6000_5000L;
        bench.device(DEVICE, V | GADE, SV39 | 7L << 44 | ppn(guest), 5 << 12, SV48 | ppn(root));
        bench.map(root, 4, IOVA, 0, leaf(guestPage, PAGE));
        long second = bench.map(guest, 3, guestPage, 0, leaf(TARGET, 0x13));

        assertThat(bench.read(IOVA + 4)).isEqualTo(Translation.to(TARGET + 4, false));
        assertThat(bench.memory.peek(second)).as("accessed").isEqualTo(leaf(TARGET, 0x53));
        assertThat(cause(bench.write(IOVA + 4))).isEqualTo(23);
        assertThat(bench.faults().get(0)[3]).as("guest address").isEqualTo(guestPage + 4);

        bench.map(root, 4, IOVA + 0x1000, 0, leaf(1L << 41, PAGE));
        assertThat(cause(bench.read(IOVA + 0x1000))).as("41 bits").isEqualTo(21);
    }

    @Test
    void aTableThatTheGuestDoesNotHaveIsAnImplicitFault() {
        long guest = bench.guestTables();
        bench.device(DEVICE, V, SV39 | ppn(guest), 0, SV48 | ppn(0x5000_0000L));
        assertThat(cause(bench.write(0x3000))).isEqualTo(23);
        assertThat(bench.faults().get(0)[3]).isEqualTo(0x5000_0000L | 1);
    }

    @Test
    void eachProcessHasItsPagesAndSupervisorsTheirRights() {
        long directory = bench.newPage();
        long contexts = bench.newPage();
        long root = bench.newPage();
        bench.device(DEVICE, V | PDTV, 0, 0, 2L << 60 | ppn(directory));
        bench.memory.poke(directory + 2 * 8, contexts >>> 12 << 10 | 1);
        bench.memory.poke(contexts + 3 * 16, 1 | 2 | 9 << 12);
        bench.memory.poke(contexts + 3 * 16 + 8, SV39 | ppn(root));
        bench.map(root, 3, 0x5000, 0, leaf(TARGET, PAGE));
        bench.map(root, 3, 0x6000, 0, leaf(TARGET, PAGE & ~0x10));
        int process = 0x203;

        assertThat(bench.unit.translate(DEVICE, process, 0x5000, READ)).isEqualTo(Translation.to(TARGET, false));
        assertThat(cause(bench.unit.translate(DEVICE, process, 0x6000, READ)))
                .as("a supervisor's page")
                .isEqualTo(13);
        int privileged = READ | RequestFlags.PRIVILEGED;
        assertThat(cause(bench.unit.translate(DEVICE, process, 0x6000, privileged)))
                .isZero();
        assertThat(cause(bench.unit.translate(DEVICE, process, 0x5000, privileged)))
                .as("without SUM")
                .isEqualTo(13);
        assertThat(cause(bench.unit.translate(DEVICE, process + 1, 0, READ))).isEqualTo(266);
        assertThat(cause(bench.unit.translate(DEVICE, 1 << 17, 0, READ)))
                .as("18 bits")
                .isEqualTo(260);
        assertThat(bench.read(0x5000)).as("no process").isEqualTo(Translation.to(0x5000, false));
    }

    @Test
    void theMemoryTypeIsTheFirstStagesOrElseTheSecondStages() {
        long guest = bench.guestTables();
        long root = bench.newPage();
        bench.device(DEVICE, V, SV39 | ppn(guest), 0, SV48 | ppn(root));
        bench.map(root, 4, 0x1000, 0, leaf(0x6000_0000L, PAGE));
        bench.map(root, 4, 0x2000, 0, 2L << 61 | leaf(0x6000_0000L, PAGE));
        bench.map(guest, 3, 0x6000_0000L, 0, 1L << 61 | leaf(TARGET, PAGE));
        assertThat(bench.read(0x1000)).isEqualTo(Translation.to(TARGET, false, MemoryType.NON_CACHEABLE));
        assertThat(bench.read(0x2000)).isEqualTo(Translation.to(TARGET, false, MemoryType.DEVICE));
    }

    @Test
    void whatCannotBeReadHasACauseForEachStructure() {
        long pte = firstStage(0, leaf(TARGET, PAGE));
        assertInjected(pte, "dc", 274);
        assertInjected(pte, "af", 5);
        assertInjected(bench.context(DEVICE) + 24, "dc", 268);
        assertInjected(bench.context(DEVICE) + 24, "af", 257);
    }

    private void assertInjected(long address, String kind, int expected) {
        bench.memory.inject(List.of(List.of("0x" + Long.toHexString(address), 8L, kind)));
        bench.unit.reset();
        bench.on();
        assertThat(cause(bench.read(IOVA))).as("%s at 0x%x", kind, address).isEqualTo(expected);
        bench.memory.inject(List.of());
    }

    @Test
    void bigEndianTablesAreReadSo() {
        Bench big = new Bench(RiscvSilicon.CAPABILITIES_FULL | 1 << 27);
        big.unit.writeRegister32(8, 1);
        long root = big.newPage();
        big.map(root, 3, 0x5000, 0, leaf(TARGET, CODE));
        big.device(DEVICE, V | 1 << 10, 0, 0, SV39 | ppn(root));
        big.memory.reverse();
        big.unit.writeRegister64(16, 0x10 << 10 | 4);
        big.settle();
        assertThat(big.read(0x5000)).isEqualTo(Translation.to(TARGET, false));
    }
}
