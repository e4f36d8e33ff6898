// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnit;
import org.junit.jupiter.api.Test;

/** A device that keeps translations, behind a unit that grants them. */
class DeviceTlbTest {
    private static final int DEVICE = 0x0100; // 01:00.0
    private static final long IOVA = Bench.IOVA;
    private static final long OLD = 0x800_0000;
    private static final long NEW = 0x900_0000;
    private static final long DEVICE_TLB = (long) DEVICE << 32 | 3;
    private static final long IOTLB_GLOBAL = 0x12;
    private static final long WAIT = 1L << 32 | 0x25;

    private final Machine machine;
    private final SystemMemory memory;
    private final RegisterWindow registers;
    private final Endpoint gpu;
    private int tail;

    DeviceTlbTest() {
        MachineDescription description = VtdUnitProvider.machine("ats", ScalableBench.CAP, ScalableBench.ECAP);
        List<FunctionDescription> functions = new ArrayList<>();
        for (FunctionDescription function : description.functions()) {
            byte[] config = function.address().equals(BuiltInTopology.GPU)
                    ? ConfigSpaceBuilder.endpoint(0x1b36, 0x0100, ConfigSpaceBuilder.CLASS_VGA)
                            .ats()
                            .pasid(16)
                            .build()
                    : function.config();
            functions.add(new FunctionDescription(
                    function.address(), function.upstreamBridge(), config, function.unit(), function.externalFacing()));
        }
        machine = new MachineFactory(List.of(new VtdUnitProvider())).create(description.withFunctions(functions));
        memory = machine.memory(0);
        registers = machine.registers().map(machine.units().get(0).spec().registerBase(), 0x1000);
        gpu = machine.endpoint(BuiltInTopology.GPU);
        enable(ConfigSpace.EXTENDED_CAPABILITY_ATS, 0x8000);
        memory.store(Bench.ROOT + 0x10, Bench.CONTEXTS | 1);
        memory.store(Bench.CONTEXTS, Bench.L4 | 5); // TT 1
        memory.store(Bench.CONTEXTS + 8, 0x0502);
        tables(3);
        on(Bench.ROOT, 0);
    }

    private void enable(int capability, int control) {
        gpu.config().write(gpu.config().findExtendedCapability(capability) + 6, 2, control);
    }

    private void tables(long flags) {
        memory.store(Bench.L4 + 8, Bench.L3 | flags);
        memory.store(Bench.L3 + 8, Bench.L2 | flags);
        memory.store(Bench.L2 + 8, Bench.L1 | flags);
        memory.store(Bench.L1 + 8, OLD | flags);
        memory.store(OLD, 11);
        memory.store(NEW, 22);
    }

    private void on(long rootTable, long queue) {
        registers.write32(Bench.GCMD, 0);
        machine.runPending();
        tail = 0;
        registers.write64(Bench.IQT, 0);
        registers.write64(Bench.RTADDR, rootTable);
        registers.write32(Bench.GCMD, Bench.SRTP);
        machine.runPending();
        registers.write64(Bench.IQA, Bench.QUEUE | queue);
        registers.write32(Bench.GCMD, Bench.TE | Bench.QIE);
        machine.runPending();
    }

    private void invalidate(long low, long high) {
        memory.store(Bench.QUEUE + tail, low);
        memory.store(Bench.QUEUE + tail + 8, high);
        tail += 16;
        registers.write64(Bench.IQT, tail);
        machine.runPending();
    }

    @Test
    void aTranslationStaysInTheDeviceUntilTheDeviceIsTold() {
        assertThat(gpu.read(IOVA, false)).isEqualTo(11);
        memory.store(Bench.L1 + 8, NEW | 3);
        invalidate(IOTLB_GLOBAL, 0);
        assertThat(gpu.read(IOVA, false))
                .as("the unit has forgotten, the device has not")
                .isEqualTo(11);
        invalidate(DEVICE_TLB, IOVA + 0x1000);
        assertThat(gpu.read(IOVA, false)).as("another page").isEqualTo(11);
        invalidate(DEVICE_TLB, IOVA);
        assertThat(gpu.read(IOVA, false)).isEqualTo(22);
    }

    @Test
    void turningAtsOnEmptiesTheDeviceWhereTurningItOffOnlyStopsItsUse() {
        assertThat(gpu.read(IOVA, false)).isEqualTo(11);
        memory.store(Bench.L1 + 8, NEW | 3);
        invalidate(IOTLB_GLOBAL, 0);
        enable(ConfigSpace.EXTENDED_CAPABILITY_ATS, 0x8000);
        assertThat(gpu.read(IOVA, false)).as("it was on already").isEqualTo(11);

        enable(ConfigSpace.EXTENDED_CAPABILITY_ATS, 0);
        assertThat(gpu.read(IOVA, false)).as("an untranslated request").isEqualTo(22);
        enable(ConfigSpace.EXTENDED_CAPABILITY_ATS, 0x8000);
        assertThat(gpu.read(IOVA, false)).as("asked for anew").isEqualTo(22);
    }

    @Test
    void aRangeIsNamedByTheLowestClearBitOfItsAddress() {
        for (long high : new long[] {IOVA | 1, 0x7fff_ffff_ffff_f001L, (IOVA & 0xff_ffe0_0000L) | 0xff001}) {
            memory.store(Bench.L1 + 8, OLD | 3);
            invalidate(DEVICE_TLB, 0x7fff_ffff_ffff_f001L);
            invalidate(IOTLB_GLOBAL, 0);
            assertThat(gpu.read(IOVA, false)).isEqualTo(11);
            memory.store(Bench.L1 + 8, NEW | 3);
            invalidate(IOTLB_GLOBAL, 0);
            invalidate(DEVICE_TLB, high);
            assertThat(gpu.read(IOVA, false)).as("%x", high).isEqualTo(22);
        }
    }

    @Test
    void aRefusedTranslationIsNoFaultAndIsAskedForAgain() {
        memory.store(Bench.L1 + 8, 0);
        assertThat(gpu.read(IOVA, false)).isEqualTo(-1);
        assertThat(gpu.lastStatus()).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        assertThat(registers.read32(Bench.FSTS)).isZero();
        memory.store(Bench.L1 + 8, OLD | 1);
        assertThat(gpu.read(IOVA, false)).isEqualTo(11);
        assertThat(gpu.write(IOVA, 5, false)).as("known for reads only").isFalse();
    }

    @Test
    void translationRequestsAreBlockedWhereTheContextAllowsNone() {
        memory.store(Bench.CONTEXTS, Bench.L4 | 1);
        assertThat(gpu.read(IOVA, false)).isEqualTo(-1);
        assertThat(gpu.lastFault()).isEqualTo(0xd);
        assertThat(registers.read64(record() + 8))
                .as("a translation request to read")
                .isEqualTo(1L << 63 | 1L << 62 | 1L << 60 | 0xdL << 32 | DEVICE);
        enable(ConfigSpace.EXTENDED_CAPABILITY_ATS, 0);
        assertThat(gpu.read(IOVA, false)).as("untranslated ones are not").isEqualTo(11);
    }

    private static int record() {
        return (int) (ScalableBench.CAP >>> 24 & 0x3ff) * 16;
    }

    @Test
    void aTranslatedRequestIsBlockedOnceTheContextForbidsIt() {
        assertThat(gpu.read(IOVA, false)).isEqualTo(11);
        memory.store(Bench.CONTEXTS, Bench.L4 | 1);
        invalidate(0x11, 0);
        assertThat(gpu.read(IOVA, false)).isEqualTo(-1);
        assertThat(gpu.lastFault()).isEqualTo(0xd);
    }

    @Test
    void theDeviceItselfLeavesNoSnoopOutWhereTheLeafSaysSo() {
        memory.store(Bench.L1 + 8, OLD | 0x803);
        memory.store(OLD, 33); // in the cache only
        assertThat(gpu.read(IOVA, true)).isEqualTo(33);
        memory.store(Bench.L1 + 8, OLD | 3);
        invalidate(IOTLB_GLOBAL, 0);
        invalidate(DEVICE_TLB, IOVA);
        memory.store(OLD, 44);
        assertThat(gpu.read(IOVA, true)).isNotEqualTo(44);
    }

    @Test
    void aDeviceThatDoesNotAnswerStopsTheQueueAndAbortsTheWait() {
        enable(ConfigSpace.EXTENDED_CAPABILITY_ATS, 0);
        memory.store(Bench.QUEUE, DEVICE_TLB);
        memory.store(Bench.QUEUE + 16, WAIT);
        memory.store(Bench.QUEUE + 24, Bench.STATUS);
        memory.store(Bench.QUEUE + 32, 2L << 32 | 0x25);
        memory.store(Bench.QUEUE + 40, Bench.STATUS);
        registers.write64(Bench.IQT, 48);
        machine.runPending();
        assertThat(registers.read32(Bench.FSTS)).as("ITE").isEqualTo(1 << 6);
        assertThat(registers.read64(Bench.IQH)).isEqualTo(32);
        assertThat(memory.load(Bench.STATUS)).as("aborted").isZero();
        registers.write32(Bench.FSTS, 1 << 6);
        machine.runPending();
        assertThat(memory.load(Bench.STATUS)).isEqualTo(2);
    }

    @Test
    void aWaitIsNotCompletedBeforeADeviceAnswersLate() {
        gpu.answerInvalidationsLater(true);
        assertThat(gpu.read(IOVA, false)).isEqualTo(11);
        TranslationUnit unit = machine.units().get(0);
        queue(DEVICE_TLB, IOVA, WAIT, Bench.STATUS);
        while (unit.step()) {
            // the unit alone
        }
        assertThat(memory.load(Bench.STATUS)).as("before the answer").isZero();
        assertThat(registers.read64(Bench.IQH)).isEqualTo(16);
        long before = machine.digest();
        assertThat(unit.completeInvalidation(DEVICE + 8, 1, 1)).isFalse();
        assertThat(registers.read32(Bench.FSTS)).as("ICE").isEqualTo(1 << 5);
        registers.write32(Bench.FSTS, 1 << 5);
        assertThat(machine.digest()).isEqualTo(before);
        machine.runPending();
        assertThat(memory.load(Bench.STATUS)).isEqualTo(1);
        assertThat(registers.read32(Bench.FSTS)).isZero();
    }

    @Test
    void anAnswerThatADeviceOwesIsStateAndGoneAfterReset() {
        machine.reset();
        long before = machine.digest();
        enable(ConfigSpace.EXTENDED_CAPABILITY_ATS, 0x8000);
        gpu.answerInvalidationsLater(true);
        on(Bench.ROOT, 0);
        long owesNothing = machine.digest();
        queue(DEVICE_TLB, IOVA);
        machine.units().get(0).step();
        assertThat(machine.digest()).isNotEqualTo(owesNothing);
        machine.reset();
        assertThat(machine.digest()).isEqualTo(before);
    }

    @Test
    void aLateAnswerMayNeverCome() {
        gpu.answerInvalidationsLater(true);
        TranslationUnit unit = machine.units().get(0);
        queue(DEVICE_TLB, IOVA, WAIT, Bench.STATUS);
        while (unit.step()) {
            // the unit alone
        }
        unit.timeOutInvalidations(-1);
        assertThat(unit.step()).isTrue();
        assertThat(registers.read32(Bench.FSTS)).as("ITE").isEqualTo(1 << 6);
        assertThat(memory.load(Bench.STATUS)).as("aborted").isZero();
    }

    @Test
    void moreInvalidationsThanTagsWaitForEachOther() {
        gpu.answerInvalidationsLater(true);
        TranslationUnit unit = machine.units().get(0);
        long[] words = new long[2 * 34];
        for (int i = 0; i < 33; i++) {
            words[2 * i] = DEVICE_TLB;
            words[2 * i + 1] = IOVA + i * 4096L;
        }
        words[66] = WAIT;
        words[67] = Bench.STATUS;
        queue(words);
        while (unit.step()) {
            // the unit alone
        }
        assertThat(registers.read64(Bench.IQH)).as("the 33rd waits for a tag").isEqualTo(32 * 16);
        machine.runPending();
        assertThat(registers.read64(Bench.IQH)).isEqualTo(34 * 16);
        assertThat(memory.load(Bench.STATUS)).isEqualTo(1);
    }

    private void queue(long... words) {
        for (int i = 0; i < words.length; i++) {
            memory.store(Bench.QUEUE + i * 8L, words[i]);
        }
        registers.write64(Bench.IQT, words.length * 8L);
    }

    @Test
    void aTimeOutWithoutAWaitIsToldWhenTheQueueIsEmpty() {
        invalidate(0x0200L << 32 | 3, IOVA); // the other device, which has no TLB
        assertThat(registers.read32(Bench.FSTS)).isEqualTo(1 << 6);
    }

    @Test
    void whatTheDeviceKnowsIsPartOfTheMachinesStateAndGoneAfterReset() {
        long before = machine.digest();
        gpu.read(IOVA, false);
        invalidate(IOTLB_GLOBAL, 0);
        invalidate(0x11, 0);
        assertThat(machine.digest()).isNotEqualTo(before);
        machine.reset();
        assertThat(gpu.config().atsEnabled()).isFalse();
    }

    @Test
    void aPasidsTranslationsGoWithAnInvalidationThatNamesIt() {
        enable(ConfigSpace.EXTENDED_CAPABILITY_PASID, 1);
        gpu.usePasid(3);
        memory.store(Bench.ROOT + 0x10, Bench.CONTEXTS | 1);
        memory.store(Bench.CONTEXTS, ScalableBench.DIRECTORY | 8 | 4 | 1);
        memory.store(ScalableBench.DIRECTORY, ScalableBench.PASIDS | 1);
        memory.store(ScalableBench.PASIDS + 3 * 64, ScalableBench.FIRST);
        memory.store(ScalableBench.PASIDS + 3 * 64 + 8, 5 | ScalableBench.PWSNP);
        memory.store(ScalableBench.PASIDS + 3 * 64 + 16, Bench.L4);
        tables(7);
        on(Bench.ROOT | 1 << 10, 1 << 11);
        wide(0x11, 0);
        assertThat(gpu.read(IOVA, false)).isEqualTo(11);
        memory.store(Bench.L1 + 8, NEW | 7);
        wide(IOTLB_GLOBAL, 0);
        wide(DEVICE_TLB, IOVA);
        wide(4L << 32 | DEVICE << 16 | 8, IOVA);
        assertThat(gpu.read(IOVA, false))
                .as("neither without PASID nor of another")
                .isEqualTo(11);
        wide(3L << 32 | DEVICE << 16 | 8, IOVA | 1 << 11);
        assertThat(gpu.read(IOVA, false)).isEqualTo(22);
        memory.store(Bench.CONTEXTS, ScalableBench.DIRECTORY | 8 | 1);
        wide(0x11, 0);
        assertThat(gpu.read(IOVA, false)).isEqualTo(-1);
        assertThat(gpu.lastFault()).isEqualTo(0x44);
    }

    private void wide(long low, long high) {
        memory.store(Bench.QUEUE + tail, low);
        memory.store(Bench.QUEUE + tail + 8, high);
        tail += 32;
        registers.write64(Bench.IQT, tail);
        machine.runPending();
    }
}
