// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.iommu4j.riscv.sim.Bench.DEVICE;
import static org.iommu4j.riscv.sim.Bench.EN_ATS;
import static org.iommu4j.riscv.sim.Bench.EN_PRI;
import static org.iommu4j.riscv.sim.Bench.NO_PASID;
import static org.iommu4j.riscv.sim.Bench.PAGE;
import static org.iommu4j.riscv.sim.Bench.PDTV;
import static org.iommu4j.riscv.sim.Bench.PRPR;
import static org.iommu4j.riscv.sim.Bench.QUEUE_SIZE;
import static org.iommu4j.riscv.sim.Bench.READ;
import static org.iommu4j.riscv.sim.Bench.SV39;
import static org.iommu4j.riscv.sim.Bench.T2GPA;
import static org.iommu4j.riscv.sim.Bench.V;
import static org.iommu4j.riscv.sim.Bench.WRITE;
import static org.iommu4j.riscv.sim.Bench.cause;
import static org.iommu4j.riscv.sim.Bench.leaf;
import static org.iommu4j.riscv.sim.Bench.ppn;

import java.util.List;
import java.util.Map;
import java.util.Random;
import org.iommu4j.sim.spi.InvalidationAnswer;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.junit.jupiter.api.Test;

/** Registers, queues, interrupts, and messages to and from devices. */
class RiscvQueuesTest {
    private static final int CQCSR = 72;
    private static final int FQCSR = 76;
    private static final int IPSR = 84;
    private static final int ON = 1 << 16;
    private static final int BUSY = 1 << 17;
    private static final long FENCE = 2;
    private static final int LAST = RequestFlags.LAST;

    private final Bench bench = Bench.full();

    private int register(int offset) {
        return bench.unit.readRegister32(offset);
    }

    // --- registers ---

    @Test
    void writesOfControlRegistersAreLeftToSteps() {
        bench.unit.writeRegister32(CQCSR, 1);
        bench.unit.writeRegister64(16, 1);
        assertThat(register(CQCSR)).isEqualTo(1 | BUSY);
        assertThat(register(16)).isEqualTo(1 | 1 << 4);
        assertThat(bench.unit.step()).isTrue();
        assertThat(bench.unit.step()).isTrue();
        assertThat(bench.unit.step()).isFalse();
        assertThat(register(CQCSR)).isEqualTo(1 | ON);
        assertThat(register(16)).isEqualTo(1);
    }

    @Test
    void halvesOfARegisterAreWrittenInAnyOrder() {
        bench.unit.writeRegister32(28, 0x12);
        bench.unit.writeRegister32(24, 0x3403);
        assertThat(bench.unit.readRegister64(24)).isEqualTo(0x12_0000_3403L);
        bench.unit.writeRegister32(24, 0x5404);
        assertThat(bench.unit.readRegister64(24)).isEqualTo(0x12_0000_5404L);
        assertThat(register(28)).isEqualTo(0x12);
        assertThatIllegalStateException().isThrownBy(() -> bench.unit.writeRegister32(26, 0));
    }

    @Test
    void noRegisterWriteReachesMemoryAndStepsEndWhateverIsWritten() {
        long seed = Long.getLong("iommu4j.seed", 7);
        Random random = new Random(seed);
        for (int round = 0; round < 50; round++) {
            Bench wild = new Bench(RiscvSilicon.CAPABILITIES_FULL | 1 << 27);
            for (int i = 0; i < 200; i++) {
                int offset = random.nextInt(random.nextBoolean() ? 16 : 128) * 8;
                wild.memory.accesses = 0;
                if (random.nextBoolean()) {
                    wild.unit.writeRegister64(offset, random.nextLong() & (random.nextBoolean() ? -1L : 0xff0ff));
                } else {
                    wild.unit.writeRegister32(offset + random.nextInt(2) * 4, random.nextInt());
                }
                assertThat(wild.memory.accesses).as("seed %d", seed).isZero();
                for (int steps = random.nextInt(3); steps > 0; steps--) {
                    wild.unit.step();
                }
            }
            // A queue may have up to 2^32 entries.
            wild.unit.writeRegister32(CQCSR, 0);
            int steps = 0;
            while (wild.unit.step()) {
                assertThat(++steps).as("steps with seed %d", seed).isLessThan(100);
            }
        }
    }

    @Test
    void registersOfFeaturesThatAreAbsentAreZero() {
        Bench small = new Bench(RiscvSilicon.CAPABILITIES_SMALL);
        for (int offset : new int[] {56, 64, 600, 608, 616, 624, 768, 776}) {
            small.unit.writeRegister64(offset, -1);
            assertThat(small.unit.readRegister64(offset))
                    .as("offset %d", offset)
                    .isZero();
        }
        assertThat(small.unit.readRegister32(8)).as("wires only").isEqualTo(2);
        small.unit.writeRegister32(8, 0);
        assertThat(small.unit.readRegister32(8)).isEqualTo(2);
    }

    @Test
    void capabilitiesThatAreNoUnitsAreRefused() {
        for (long capabilities : new long[] {0, 0x20 | 40L << 32, 0x10 | 8L << 32, 0x110 | 40L << 32}) {
            assertThatIllegalArgumentException().isThrownBy(() -> new Bench(capabilities));
        }
        for (Map<String, Long> registers : List.<Map<String, Long>>of(
                Map.of(), Map.of("capabilities", RiscvSilicon.CAPABILITIES_FULL, "fctl", 4L))) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> new RiscvSilicon().create(Bench.spec(registers), bench.memory));
        }
    }

    @Test
    void aResetUnitIsLikeANewOne() {
        bench.on();
        bench.device(DEVICE, V, 0, 0, 0);
        bench.read(0x1000);
        bench.unit.translate(DEVICE + 1, NO_PASID, 0, READ);
        bench.unit.requestPage(DEVICE, NO_PASID, 0, READ | LAST, 0);
        bench.unit.writeRegister64(760, 0x3210);
        bench.command(0, 0);
        assertThat(bench.digest()).isNotEqualTo(Bench.full().digest());
        bench.unit.reset();
        assertThat(bench.digest()).isEqualTo(Bench.full().digest());
        assertThat(bench.unit.step()).isFalse();
    }

    // --- commands ---

    @Test
    void anIllegalCommandStopsTheQueueUntilSoftwareClearsIt() {
        bench.on();
        bench.command(FENCE, 0, 0x7f, 0, FENCE, 0);
        assertThat(register(32)).as("cqh").isEqualTo(1);
        assertThat(register(CQCSR)).isEqualTo(ON | 3 | 1 << 10);
        assertThat(register(IPSR)).isEqualTo(1);
        bench.unit.writeRegister32(IPSR, 1);
        assertThat(register(IPSR)).as("the reason lasts").isEqualTo(1);
        bench.memory.poke(0x3_0010, FENCE);
        bench.unit.writeRegister32(CQCSR, 3 | 1 << 10);
        bench.settle();
        assertThat(register(32)).isEqualTo(3);
        bench.unit.writeRegister32(IPSR, 1);
        assertThat(register(IPSR)).isZero();
    }

    @Test
    void enablingInterruptsWhileAnErrorLastsRaisesOne() {
        bench.on();
        bench.unit.writeRegister32(CQCSR, 1);
        bench.command(0, 0);
        assertThat(register(IPSR)).isZero();
        bench.unit.writeRegister32(CQCSR, 3);
        assertThat(register(IPSR)).isEqualTo(1);
    }

    @Test
    void aFenceStoresItsDataAndSignals() {
        bench.on();
        bench.command(FENCE | 1 << 10 | 1 << 11 | 0xcafe_babeL << 32, 0x5_0004 >>> 2);
        assertThat(bench.memory.peek(0x5_0000)).isEqualTo(0xcafe_babeL << 32);
        assertThat(register(CQCSR)).as("fence_w_ip").isEqualTo(ON | 3 | 1 << 11);
        bench.command(FENCE, 0);
        assertThat(register(32)).as("the signal stops nothing").isEqualTo(2);
        bench.command(FENCE | 1 << 10, 1L << 60);
        assertThat(register(CQCSR) & 1 << 8).as("cqmf").isNotZero();
    }

    @Test
    void aDeviceThatDoesNotAnswerStopsTheNextFence() {
        bench.on();
        bench.memory.answer = InvalidationAnswer.NEVER;
        long inval = 4 | 1L << 32 | 9 << 12 | 1L << 33 | (long) DEVICE << 40;
        bench.command(inval, 0x7_7800, FENCE, 0);
        assertThat(bench.memory.messages).containsExactly("invalidate 108 9 70000 10000 tag 0");
        assertThat(register(CQCSR)).as("cmd_to").isEqualTo(ON | 3 | 1 << 9);
        assertThat(register(32)).isEqualTo(1);
        bench.unit.writeRegister32(CQCSR, 3 | 1 << 9);
        bench.settle();
        assertThat(register(32)).isEqualTo(2);
    }

    // --- the fault queue and interrupts ---

    @Test
    void aFullFaultQueueOverflowsAndGoesOnWhenCleared() {
        bench.on();
        for (int i = 0; i < 20; i++) {
            bench.read(i << 12);
        }
        assertThat(register(FQCSR)).isEqualTo(ON | 3 | 1 << 9);
        assertThat(bench.faults()).hasSize(QUEUE_SIZE - 1);
        bench.read(0);
        assertThat(bench.faults()).as("fqof is set").isEmpty();
        bench.unit.writeRegister32(FQCSR, 3 | 1 << 9);
        bench.read(0);
        assertThat(bench.faults()).hasSize(1);
    }

    @Test
    void anInterruptIsAMessageToItsVectorUnlessMasked() {
        bench.unit.writeRegister64(760, 0x3210);
        bench.unit.writeRegister64(784, 0x5_0000);
        bench.unit.writeRegister64(792, 1L << 32 | 0x41);
        bench.on();
        bench.unit.writeRegister32(FQCSR, 0);
        bench.settle();
        bench.unit.writeRegister64(16, 0);
        bench.settle();
        bench.unit.writeRegister32(CQCSR, 0);
        bench.unit.writeRegister32(80, 0);
        bench.settle();
        bench.unit.writeRegister32(8, 0);
        assertThat(register(8)).as("messages").isZero();
        bench.unit.writeRegister32(FQCSR, 3);
        bench.settle();

        bench.read(0);
        bench.settle();
        assertThat(bench.memory.stored32).as("masked").isEmpty();
        bench.unit.writeRegister32(796, 0);
        bench.settle();
        assertThat(bench.memory.stored32).containsExactly("50000=41");
        bench.read(0);
        bench.settle();
        assertThat(bench.memory.stored32).as("fip is still 1").hasSize(1);
        bench.unit.writeRegister32(IPSR, 2);
        bench.read(0);
        bench.settle();
        assertThat(bench.memory.stored32).hasSize(2);

        bench.faults();
        bench.unit.writeRegister64(784, 1L << 55 | 0x8);
        bench.memory.inject(List.of(List.of("0x80000000000008", 4L, "waf")));
        bench.unit.writeRegister32(IPSR, 2);
        bench.read(0);
        bench.settle();
        List<long[]> faults = bench.faults();
        assertThat(faults.get(1)).containsExactly(273, 0, 1L << 55 | 0x8, 0);
    }

    // --- the debug registers ---

    @Test
    void aTranslationIsRequestedByRegisters() {
        bench.on();
        long root = bench.newPage();
        bench.device(DEVICE, V, 0, 0, SV39 | ppn(root));
        bench.map(root, 3, 0x20_0000, 1, leaf(0x4060_0000, PAGE));
        assertThat(ask(0x2a_b000, 1 << 3)).isEqualTo(0x4060_0000 >>> 12 << 10 | 0xff << 10 | 1 << 9);
        assertThat(ask(0x5000, 0) & 1).as("fault").isEqualTo(1);
        assertThat(bench.faults().get(0)[0]).isEqualTo((long) DEVICE << 40 | 3L << 34 | 15);
    }

    private long ask(long address, long flags) {
        bench.unit.writeRegister64(600, address);
        bench.unit.writeRegister64(608, (long) DEVICE << 40 | flags | 1);
        assertThat(register(608) & 1).as("busy").isEqualTo(1);
        bench.settle();
        assertThat(register(608) & 1).isZero();
        return bench.unit.readRegister64(616);
    }

    // --- ATS and page requests ---

    @Test
    void aDeviceWithAtsGetsTranslationsAndUsesThem() {
        bench.on();
        long root = bench.newPage();
        bench.device(DEVICE, V, 0, 0, SV39 | ppn(root));
        assertThat(cause(bench.unit.requestTranslation(DEVICE, NO_PASID, 0x5000, READ)))
                .isEqualTo(260);
        bench.command(3, 0);
        bench.device(DEVICE, V | EN_ATS, 0, 0, SV39 | ppn(root));
        bench.map(root, 3, 0x5000, 0, leaf(0x7000, 0xd3));
        bench.faults();

        assertThat(bench.unit.requestTranslation(DEVICE, NO_PASID, 0x5008, READ))
                .isEqualTo(Translation.to(0x7008, false));
        assertThat(bench.unit.requestTranslation(DEVICE, NO_PASID, 0x5008, WRITE))
                .isEqualTo(TranslationUnit.NOT_TRANSLATED);
        assertThat(bench.unit.requestTranslation(DEVICE, NO_PASID, 0x6000, READ))
                .isEqualTo(TranslationUnit.NOT_TRANSLATED);
        assertThat(bench.unit.passTranslated(DEVICE, NO_PASID, 0x7008, WRITE)).isEqualTo(Translation.to(0x7008, false));
        assertThat(bench.faults()).as("none is recorded").isEmpty();
    }

    @Test
    void withT2gpaTheDeviceUsesGuestAddresses() {
        bench.on();
        long guest = bench.guestTables();
        long root = bench.newPage();
        bench.device(DEVICE, V | EN_ATS | T2GPA, SV39 | ppn(guest), 0, SV39 | ppn(root));
        bench.map(root, 3, 0x5000, 0, leaf(0x6000_0000, PAGE));
        bench.map(guest, 3, 0x6000_0000, 0, leaf(0x9_0000_0000L, PAGE));
        assertThat(Translation.address(bench.unit.requestTranslation(DEVICE, NO_PASID, 0x5000, READ)))
                .isEqualTo(0x6000_0000);
        assertThat(Translation.address(bench.unit.passTranslated(DEVICE, NO_PASID, 0x6000_0010, READ)))
                .isEqualTo(0x9_0000_0010L);
        assertThat(cause(bench.unit.passTranslated(DEVICE, NO_PASID, 0x7000_0000, WRITE)))
                .isEqualTo(23);
    }

    @Test
    void pageRequestsAreQueuedAndAnsweredBySoftware() {
        bench.on();
        bench.device(DEVICE, V | EN_ATS | EN_PRI | PDTV, 0, 0, 0);
        bench.unit.requestPage(DEVICE, 9, 0x5000, WRITE | LAST | RequestFlags.PRIVILEGED, 0x1ab);
        assertThat(bench.pageRequests()).as("before the step").isEmpty();
        bench.settle();
        assertThat(bench.pageRequests().get(0))
                .containsExactly((long) DEVICE << 40 | 3L << 32 | 9 << 12, 0x5000 | 0x1ab << 3 | 4 | 2);
        assertThat(register(IPSR) & 8).as("pip").isEqualTo(8);
        bench.command(4 | 1 << 7 | 1L << 32 | 9 << 12 | 1L << 33 | (long) DEVICE << 40, 0x1abL << 32 | 1L << 44);
        assertThat(bench.memory.messages).containsExactly("respond 108 9 427 1");
    }

    @Test
    void pageRequestsThatCannotBeQueuedAreAnsweredByTheUnit() {
        bench.on();
        bench.unit.requestPage(DEVICE, 9, 0x5000, READ | LAST, 1);
        bench.settle();
        bench.device(DEVICE, V | EN_ATS);
        bench.unit.requestPage(DEVICE, 9, 0x5000, READ | LAST, 2);
        bench.unit.requestPage(DEVICE, 9, 0x5000, READ, 3);
        bench.unit.requestPage(DEVICE, 9, 0, LAST, 4);
        bench.settle();
        assertThat(bench.memory.messages)
                .as("not valid: failure, with PASID; EN_PRI=0: invalid, without; no answer is due; a stop marker")
                .containsExactly("respond 10108 9 1 15", "respond 10108 -1 2 1");
        assertThat(bench.faults()).hasSize(4).allMatch(record -> (record[0] >>> 34 & 0x3f) == 9 && record[2] == 4);

        bench.memory.messages.clear();
        bench.command(3, 0);
        bench.device(DEVICE, V | EN_ATS | EN_PRI | PRPR);
        for (int i = 0; i < QUEUE_SIZE; i++) {
            bench.unit.requestPage(DEVICE, 9, 0x5000, READ | LAST, i);
        }
        bench.settle();
        assertThat(bench.memory.messages).as("full: success").containsExactly("respond 10108 9 15 0");
    }

    // --- MSI tables ---

    private void msiTable(long first, long second) {
        long guest = bench.guestTables();
        long table = bench.newPage();
        bench.device(DEVICE, V, SV39 | ppn(guest), 0, 0, 1L << 60 | ppn(table), 0x5, 0x2_8000);
        bench.memory.poke(table + 2 * 16, first);
        bench.memory.poke(table + 2 * 16 + 8, second);
    }

    @Test
    void aMessageToAnInterruptFileGoesThroughTheMsiTable() {
        bench.on();
        msiTable(leaf(0x7_0000_0000L, 7), 0);
        assertThat(bench.write(0x2800_4000)).as("file 2").isEqualTo(Translation.to(0x7_0000_0000L, false));
        assertThat(cause(bench.write(0x2800_5000))).as("file 3").isEqualTo(262);
        assertThat(bench.write(0x2800_2000)).as("no file").isEqualTo(Translation.to(0x2800_2000, false));
        assertThat(cause(bench.unit.translate(DEVICE, NO_PASID, 0x2800_4000, READ | RequestFlags.EXECUTE)))
                .isEqualTo(1);
    }

    @Test
    void aFileInMemoryMayBeAtAddressZero() {
        bench.on();
        msiTable(3, 0x6_0000 >>> 12 << 10);
        long answer = bench.write(0x2800_4000);
        assertThat(Translation.isConsumed(answer)).isTrue();
        assertThat(consume(answer, 0x2800_4000, 5)).isZero();
        assertThat(bench.memory.peek(0)).isEqualTo(1 << 5);
    }

    @Test
    void aMessageToAFileInMemorySetsItsBitAndSendsTheNotice() {
        bench.on();
        long file = 0x5_0200;
        msiTable(file >>> 9 << 7 | 3, 0x6_0000 >>> 12 << 10 | 0x21 | 1L << 60);
        long answer = bench.write(0x2800_4000);
        assertThat(Translation.isConsumed(answer)).isTrue();
        assertThat(consume(answer, 0x2800_4000, 70)).isZero();
        assertThat(bench.memory.peek(file + 16)).isEqualTo(1 << 6);
        assertThat(bench.memory.stored32).containsExactly("60000=421");

        long bigEndian = bench.write(0x2800_4004);
        assertThat(consume(bigEndian, 0x2800_4004, Integer.reverseBytes(71))).isZero();
        assertThat(bench.memory.peek(file + 16)).isEqualTo(3 << 6);
        long elsewhere = bench.write(0x2800_4008);
        consume(elsewhere, 0x2800_4008, 72);
        consume(bench.write(0x2800_4000), 0x2800_4000, 2048);
        assertThat(bench.memory.stored32).as("discarded").hasSize(2);
        assertThat(Translation.isFault(bench.read(0x2800_4000))).isTrue();

        bench.memory.inject(List.of(List.of("0x50200", 8L, "dc")));
        assertThat(consume(bench.write(0x2800_4000), 0x2800_4000, 1)).isEqualTo(271);
        assertThat(bench.faults().get(0)[0] & 0xfff).isEqualTo(271);
        assertThatIllegalStateException().isThrownBy(() -> consume(Translation.to(0, false), 0x2800_4000, 1));
    }

    private int consume(long answer, long address, int data) {
        return bench.unit.consume(answer, DEVICE, NO_PASID, address, WRITE, Integer.toUnsignedLong(data), 4);
    }

    @Test
    void aMessageIsTheRequestersWhateverTheThreadAskedSince() {
        bench.on();
        msiTable(0x5_0200 >>> 9 << 7 | 3, 0x6_0000 >>> 12 << 10 | 0x21);
        long answer = bench.write(0x2800_4000);
        bench.write(0x2800_2000);
        assertThat(consume(answer, 0x2800_4000, 5)).isZero();
        assertThat(bench.memory.peek(0x5_0200)).isEqualTo(1 << 5);
        assertThat(bench.memory.stored32).containsExactly("60000=21");
    }

    @Test
    void aWriteOfAnotherSizeIsNoMessage() {
        bench.on();
        msiTable(0x5_0200 >>> 9 << 7 | 3, 0x6_0000 >>> 12 << 10 | 0x21);
        long answer = bench.write(0x2800_4000);
        assertThat(bench.unit.consume(answer, DEVICE, NO_PASID, 0x2800_4000, WRITE, 5, 8))
                .isZero();
        assertThat(bench.memory.peek(0x5_0200)).isZero();
        assertThat(bench.memory.stored32).isEmpty();
    }

    @Test
    void aFileThatCanOnlyBeReadTakesNoMessage() {
        bench.on();
        msiTable(0x5_0200 >>> 9 << 7 | 3, 0x6_0000 >>> 12 << 10 | 0x21);
        bench.memory.inject(List.of(List.of("0x50200", 8L, "waf")));
        assertThat(consume(bench.write(0x2800_4000), 0x2800_4000, 5)).isEqualTo(264);
        assertThat(bench.memory.peek(0x5_0200)).isZero();
    }

    @Test
    void aFenceWaitsForDevicesThatAnswerLaterInAnyOrder() {
        bench.on();
        bench.memory.answer = InvalidationAnswer.LATER;
        long inval = 4 | 0x1234L << 40;
        bench.command(inval, 0x1000, inval, 0x2000, 2 | 1L << 10 | 7L << 32, 0x5_0000 >>> 2);
        assertThat(bench.memory.messages)
                .containsExactly("invalidate 1234 -1 1000 1000 tag 0", "invalidate 1234 -1 2000 1000 tag 1");
        assertThat(bench.unit.readRegister32(32)).as("cqh at the fence").isEqualTo(2);
        assertThat(bench.unit.completeInvalidation(0x1235, 2, 1)).isFalse();
        assertThat(bench.unit.completeInvalidation(0x1234, 2, 1)).isTrue();
        assertThat(bench.unit.completeInvalidation(0x1234, 2, 1)).as("twice").isFalse();
        bench.settle();
        assertThat(bench.unit.readRegister32(32)).isEqualTo(2);
        assertThat(bench.unit.completeInvalidation(0x1234, 1, 1)).isTrue();
        bench.settle();
        assertThat(bench.unit.readRegister32(32)).isEqualTo(3);
        assertThat(bench.memory.peek(0x5_0000)).isEqualTo(7);
    }

    @Test
    void aDeviceThatDoesNotAnswerInTimeStopsTheFence() {
        bench.on();
        bench.memory.answer = InvalidationAnswer.LATER;
        bench.command(4 | 0x1234L << 40, 0x1000, 2, 0);
        bench.unit.timeOutInvalidations(-1);
        bench.settle();
        assertThat(bench.unit.readRegister32(72) & 1 << 9).as("cmd_to").isNotZero();
        assertThat(bench.unit.completeInvalidation(0x1234, 1, 1)).as("too late").isFalse();
    }

    @Test
    void anInvalidationOfAllPasidsSaysSo() {
        bench.on();
        bench.command(4 | 1L << 32 | 5L << 12 | 0x1234L << 40, 0x1001);
        assertThat(bench.memory.messages).containsExactly("invalidate 1234 5 all 1000 1000 tag 0");
    }

    @Test
    void aWireHasTheLevelOfTheBitsThatShareIt() {
        bench.on(); // wired, with vectors of 0
        assertThat(bench.memory.wires).isZero();
        bench.command(0x3ff, 0);
        assertThat(bench.memory.wires)
                .as("the command queue's, illegal command")
                .isEqualTo(1);
        bench.unit.writeRegister64(760, 0x0005);
        assertThat(bench.memory.wires).as("moved to wire 5").isEqualTo(1 << 5);
        bench.unit.writeRegister64(760, 0x0055);
        bench.read(0x1000);
        bench.settle();
        assertThat(bench.unit.readRegister32(84))
                .as("ipsr: commands and faults")
                .isEqualTo(3);
        bench.unit.writeRegister32(72, 0x403);
        bench.unit.writeRegister32(84, 1);
        assertThat(bench.memory.wires).as("still for faults").isEqualTo(1 << 5);
        bench.unit.writeRegister32(84, 2);
        assertThat(bench.memory.wires).isZero();
    }
}
