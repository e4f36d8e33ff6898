// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.Architecture;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.PlatformMaster;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.sim.spi.AccessStatus;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.InterruptWindow;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.PlatformDeviceDescription;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.SourceIdRange;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.iommu4j.spi.BootOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The way of a request from a device, by the unit's answer, into memory, on a machine that is not x86's. */
class RequestPathTest {
    private static final PciAddress NIC = new PciAddress(2, 1, 0, 0);
    private static final NamedDevice GPU = new NamedDevice("\\_SB.GPU0");
    private static final NamedDevice DMA = new NamedDevice("\\_SB.DMA0");
    private static final long PAGE = 0x8_0000L;

    private static final MachineDescription DESCRIPTION = new MachineDescription(
                    "arm",
                    new ProcessorDescription(2, Architecture.ARM64, HardwareVirtualization.NONE, CacheGeometry.LITMUS),
                    1L << 20,
                    List.of(AnsweringUnitProvider.spec()
                            .withSourceIds(List.of(new SourceIdRange(2, 0x100, 0x100, 0x12_3400)))),
                    List.of(new FunctionDescription(
                            NIC,
                            Optional.empty(),
                            ConfigSpaceBuilder.endpoint(0x1b36, 0x0100, ConfigSpaceBuilder.CLASS_VGA)
                                    .build(),
                            Optional.of(AnsweringUnitProvider.UNIT),
                            false)),
                    Map.of(),
                    BootOptions.DEFAULT)
            .withPlatformDevices(List.of(
                    new PlatformDeviceDescription(
                            GPU, Optional.of(AnsweringUnitProvider.UNIT), List.of(0xffff_0007, 8), true),
                    new PlatformDeviceDescription(DMA, Optional.of(AnsweringUnitProvider.UNIT), List.of(9), false)));

    private final MachineFactory factory = new MachineFactory(List.of(new AnsweringUnitProvider()));
    private final Machine machine = factory.create(DESCRIPTION);
    private final AnsweringUnitProvider.Unit unit =
            (AnsweringUnitProvider.Unit) machine.units().get(0);
    private final PlatformMaster gpu = machine.master(GPU);
    private final PlatformMaster dma = machine.master(DMA);

    private Endpoint nic() {
        Endpoint nic = machine.endpoint(NIC);
        nic.config().write(4, 2, 0x0006);
        return nic;
    }

    @Test
    void aPciRequestReachesTheUnitWithItsSourceId() {
        Endpoint nic = nic();
        assertThat(nic.sourceId()).isEqualTo(0x12_3400);
        assertThat(nic.requesterId()).isEqualTo(0x100);
        nic.write(PAGE, 5, false);
        nic.read(PAGE, false);
        assertThat(unit.take()).containsExactly("123400 pasid ffffffff flags 2", "123400 pasid ffffffff flags 1");
    }

    @Test
    void anAnswerToASourceIdReachesItsFunction() {
        machine.trace().start();
        unit.fabric.respondToPageRequest(0x12_3400, TranslationUnit.NO_PASID, 0, 0);
        unit.fabric.respondToPageRequest(0x100, TranslationUnit.NO_PASID, 0, 0);
        assertThat(machine.trace().has(0, Trace.FAULT)).isFalse();
        assertThat(machine.trace().has(1, Trace.FAULT))
                .as("the requester id is nobody's")
                .isTrue();
    }

    @Test
    void aPlatformDevicesRequestCarriesItsIdPasidAndRights() {
        assertThat(machine.namedDevices()).containsExactly(GPU, DMA);
        assertThat(machine.master(GPU)).isSameAs(gpu);
        gpu.read(PAGE, RequestFlags.EXECUTE | RequestFlags.PRIVILEGED);
        gpu.useSourceId(8);
        gpu.usePasid(3);
        gpu.write(PAGE, 1, RequestFlags.PRIVILEGED);
        gpu.fork().write(PAGE, 1, 0);
        assertThat(unit.take())
                .containsExactly("ffff0007 pasid ffffffff flags d", "8 pasid 3 flags a", "8 pasid ffffffff flags 2");
    }

    @Test
    void aPlatformDeviceAsksForNothingThatItLacks() {
        assertThatThrownBy(() -> gpu.useSourceId(9)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> gpu.write(PAGE, 1, RequestFlags.EXECUTE)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> gpu.read(PAGE, RequestFlags.WRITE)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> gpu.read(PAGE + 4, 0))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("\\_SB.GPU0");
        assertThatThrownBy(() -> machine.master(new NamedDevice("none"))).isInstanceOf(IllegalArgumentException.class);
        assertThat(unit.take()).isEmpty();
    }

    @Test
    void aDeviceWhoseUnitDoesNotExistIsRefused() {
        MachineDescription wrong = DESCRIPTION.withPlatformDevices(
                List.of(new PlatformDeviceDescription(GPU, Optional.of("other"), List.of(1), true)));
        assertThatThrownBy(() -> factory.create(wrong))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("'other'");
        assertThatThrownBy(() -> new PlatformDeviceDescription(GPU, Optional.empty(), List.of(), true))
                .isInstanceOf(IllegalArgumentException.class);
    }

    /** S: the device's write is snooped, so a CPU that had cached the line sees it. */
    @ParameterizedTest
    @CsvSource({
        "AS_REQUESTED,  false, true,  false",
        "AS_REQUESTED,  true,  true,  true",
        "WRITE_BACK,    false, true,  true",
        "WRITE_BACK,    true,  true,  true",
        "NON_CACHEABLE, false, false, false",
        "NON_CACHEABLE, true,  true,  true",
        "DEVICE,        false, false, false",
        "DEVICE,        true,  true,  true"
    })
    void theMemoryTypeDecidesAboutSnooping(
            Translation.MemoryType type, boolean forced, boolean coherentSnooped, boolean otherSnooped) {
        unit.answer = Translation.to(0, forced, type);
        assertThat(isSnooped(gpu, 1)).as("coherent").isEqualTo(coherentSnooped);
        assertThat(isSnooped(dma, 2)).as("not coherent").isEqualTo(otherSnooped);
    }

    private boolean isSnooped(PlatformMaster master, long value) {
        machine.drainCaches();
        machine.memory(0).load(PAGE);
        assertThat(master.write(PAGE, value, 0)).isTrue();
        assertThat(machine.peekDram(PAGE)).isEqualTo(value);
        return machine.memory(0).load(PAGE) == value;
    }

    @Test
    void aNoSnoopRequestIsNotSnoopedAlthoughTheTypeIsWriteBack() {
        unit.answer = Translation.to(0, false, Translation.MemoryType.WRITE_BACK);
        machine.memory(0).store(PAGE, 7);
        Endpoint nic = nic();
        nic.write(PAGE, 8, true);
        assertThat(machine.memory(0).load(PAGE)).isEqualTo(7);
        assertThat(machine.peekDram(PAGE)).isEqualTo(8);
    }

    @Test
    void theUnitTakesAConsumedWrite() {
        unit.answer = Translation.consumed(0);
        machine.trace().start();
        assertThat(dma.write(PAGE, 0x2a, 0)).isTrue();
        assertThat(dma.lastStatus()).isEqualTo(RequestStatus.CONSUMED);
        assertThat(unit.take())
                .containsExactly(
                        "9 pasid ffffffff flags 2",
                        "consumed 400000000080000 for 9 pasid ffffffff at 80000 flags 2: 2a of 8 bytes");
        assertThat(machine.peekDram(PAGE)).isZero();
        assertThat(machine.trace().kind(0)).isEqualTo(TraceKind.INTERRUPT);
        assertThat(machine.trace().who(0)).isEqualTo("\\_SB.DMA0");
        assertThat(machine.trace().has(0, Trace.FAULT)).isFalse();

        unit.faultOfConsumed = 264;
        assertThat(dma.write(PAGE, 0x2a, 0)).isFalse();
        assertThat(dma.lastStatus()).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        assertThat(dma.lastFault()).isEqualTo(264);
    }

    @Test
    void aWriteOf4BytesLeavesTheOtherHalf() {
        unit.answer = Translation.to(0, false);
        machine.memory(0).store(PAGE, 0x1111_1111_2222_2222L);
        machine.trace().start();
        assertThat(nic().write32(PAGE + 4, 0x8000_0009)).isTrue();
        assertThat(machine.memory(0).load(PAGE)).isEqualTo(0x8000_0009_2222_2222L);
        assertThat(nic().write32(PAGE, 7)).isTrue();
        assertThat(machine.memory(0).load(PAGE)).isEqualTo(0x8000_0009_0000_0007L);
        Trace trace = machine.trace();
        assertThat(IntStream.range(0, trace.size())
                        .filter(event -> trace.kind(event) == TraceKind.DMA_WRITE && trace.has(event, Trace.HALF)))
                .hasSize(2);
        assertThatThrownBy(() -> dma.write32(PAGE + 2, 7, 0)).isInstanceOf(IllegalArgumentException.class);

        unit.answer = Translation.consumed(0);
        unit.take();
        assertThat(dma.write32(PAGE + 4, -1, 0)).isTrue();
        assertThat(unit.take().get(1))
                .isEqualTo("consumed 400000000080004 for 9 pasid ffffffff at 80004 flags 2: ffffffff of 4 bytes");
    }

    @Test
    void aMachineWithoutAnInterruptWindowTranslatesItsAddresses() {
        assertThat(DESCRIPTION.interruptWindow()).isEmpty();
        unit.answer = Translation.fault(5);
        assertThat(dma.write(InterruptWindow.X86.start(), 1, 0)).isFalse();
        assertThat(dma.lastStatus()).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        assertThat(dma.lastFault()).isEqualTo(5);
    }

    @Test
    void theInterruptWindowIsWhereTheMachineHasIt() {
        Machine other =
                factory.create(DESCRIPTION.withInterruptWindow(Optional.of(new InterruptWindow(0x4000, 0x1000))));
        PlatformMaster master = other.master(DMA);
        assertThat(master.write(0x4ff8, 1, 0)).isTrue();
        assertThat(master.lastStatus()).isEqualTo(RequestStatus.INTERRUPT);
        assertThat(master.read(0x4000, 0)).isEqualTo(-1);
        assertThat(master.lastStatus()).isEqualTo(RequestStatus.UNSUPPORTED_REQUEST);
        master.write(0x5000, 1, 0);
        master.write(0x3ff8, 1, 0);
        assertThat(master.lastStatus()).isEqualTo(RequestStatus.DONE);
        assertThatThrownBy(() -> new InterruptWindow(0, 0)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new InterruptWindow(1, Long.MAX_VALUE)).isInstanceOf(IllegalArgumentException.class);
    }

    @ParameterizedTest(name = "flat {0}")
    @ValueSource(booleans = {false, true})
    void aReadOfPoisonHasAStatusOfItsOwn(boolean flat) {
        Machine any = flat ? factory.createFlat(DESCRIPTION) : machine;
        PlatformMaster master = any.master(DMA);
        long before = any.digest();
        any.poison(PAGE + 0x17);
        assertThat(any.digest()).isNotEqualTo(before);
        for (long address : new long[] {PAGE, PAGE + 56}) {
            assertThat(master.read(address, 0)).isEqualTo(-1);
            assertThat(master.lastStatus()).isEqualTo(RequestStatus.POISONED);
        }
        master.read(PAGE + 64, 0);
        assertThat(master.lastStatus()).as("the next line").isEqualTo(RequestStatus.DONE);

        assertThat(master.write(PAGE, 5, 0)).isTrue();
        assertThat(master.read(PAGE, 0)).isEqualTo(5);
        assertThat(master.lastStatus()).as("written whole").isEqualTo(RequestStatus.DONE);
        master.read(PAGE + 8, 0);
        assertThat(master.lastStatus()).as("the next word").isEqualTo(RequestStatus.POISONED);

        any.reset();
        assertThat(master.read(PAGE + 8, 0)).isZero();
        assertThat(any.digest()).isEqualTo(before);
    }

    @ParameterizedTest(name = "flat {0}")
    @ValueSource(booleans = {false, true})
    void aUnitLearnsWhetherMemoryAnswers(boolean flat) {
        Machine any = flat ? factory.createFlat(DESCRIPTION) : machine;
        AnsweringUnitProvider.Unit one =
                (AnsweringUnitProvider.Unit) any.units().get(0);
        any.poison(PAGE);
        assertThat(one.fabric.status(PAGE, true)).isEqualTo(AccessStatus.POISON);
        assertThat(one.fabric.read(PAGE, true)).isEqualTo(-1);
        assertThat(one.fabric.isMemory(PAGE)).isTrue();
        assertThat(one.fabric.status(1L << 20, true)).isEqualTo(AccessStatus.ACCESS_FAULT);
        assertThat(one.fabric.status(PAGE + 64, false)).isEqualTo(AccessStatus.OK);
        one.fabric.write32(PAGE, 1, true);
        assertThat(one.fabric.status(PAGE, true)).as("half written").isEqualTo(AccessStatus.POISON);
        assertThat(one.fabric.compareAndSet(PAGE, -1, 1, true)).isFalse();
        any.memory(0).store(PAGE, 1);
        assertThat(one.fabric.status(PAGE, true)).as("written by a CPU").isEqualTo(AccessStatus.OK);
    }

    @Test
    void poisonStaysInDramUntilTheCpusStoreIsWrittenBack() {
        machine.poison(PAGE);
        machine.memory(0).store(PAGE, 1);
        assertThat(unit.fabric.status(PAGE, true)).isEqualTo(AccessStatus.OK);
        assertThat(unit.fabric.status(PAGE + 8, true))
                .as("the rest of the line")
                .isEqualTo(AccessStatus.POISON);
        machine.poison(PAGE);
        assertThat(unit.fabric.status(PAGE, true)).as("anew").isEqualTo(AccessStatus.POISON);
        machine.memory(0).store(PAGE, 1);
        assertThat(unit.fabric.status(PAGE, false)).isEqualTo(AccessStatus.POISON);
        machine.memory(0).writeBack(PAGE, 8);
        assertThat(unit.fabric.status(PAGE, false)).isEqualTo(AccessStatus.OK);
        assertThat(unit.fabric.status(PAGE + 8, false)).isEqualTo(AccessStatus.POISON);
    }

    @ParameterizedTest
    @EnumSource(names = "X86_64", mode = EnumSource.Mode.EXCLUDE)
    void onlyX86HasWbinvdAndClflush(Architecture architecture) {
        ProcessorDescription cpus =
                new ProcessorDescription(1, architecture, HardwareVirtualization.NONE, CacheGeometry.LITMUS);
        MachineDescription description = DESCRIPTION.withProcessors(cpus);
        for (Machine each : List.of(factory.create(description), factory.createFlat(description))) {
            Processor cpu = each.processors().get(0);
            assertThatThrownBy(cpu::wbinvd)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("a CPU of " + architecture + " has no instruction WBINVD");
            assertThatThrownBy(() -> cpu.clflush(PAGE)).isInstanceOf(IllegalStateException.class);
            cpu.store(PAGE, 3, MemoryType.UC);
            cpu.mfence();
            assertThat(cpu.load(PAGE, MemoryType.WB)).isEqualTo(3);
            assertThat(cpu.virtualization()).isEqualTo(HardwareVirtualization.NONE);
        }
        assertThatThrownBy(() ->
                        new ProcessorDescription(1, architecture, HardwareVirtualization.SVM, CacheGeometry.LITMUS))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> ProcessorDescription.x86(65, HardwareVirtualization.SVM, CacheGeometry.LITMUS))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void partsOfARegisterCanBeReadAndNotWritten() {
        assertThat(unit.readRegister8(4)).isEqualTo(0x15);
        assertThat(unit.readRegister8(7)).isEqualTo(0x44);
        assertThat(unit.readRegister16(4)).isEqualTo(0x2215);
        assertThat(unit.readRegister16(6)).isEqualTo(0x4433);
        assertThatThrownBy(() -> unit.writeRegister8(4, 0x123))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("unit answers0 has no register of 8 bits; written 0x23 at offset 0x4");
        assertThatThrownBy(() -> unit.writeRegister16(6, 0x123)).isInstanceOf(IllegalStateException.class);
    }
}
