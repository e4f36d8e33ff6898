// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.iommu4j.sim.machine.OffsetUnitProvider.OFFSET;
import static org.iommu4j.sim.machine.OffsetUnitProvider.REGISTERS;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.cache.Mesi;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.spi.VendorContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MachineTest {
    private static final long PAGE = 0x8000000;

    private final MachineFactory factory = new MachineFactory(List.of(new OffsetUnitProvider()));
    private final Machine machine = factory.create(OffsetUnitProvider.ordinary());

    private Machine machine(boolean flat) {
        return flat ? factory.createFlat(OffsetUnitProvider.ordinary()) : machine;
    }

    @Test
    void aDriverThatForgetsToWriteBackIsNotSeenByAUnitThatDoesNotSnoop() {
        SystemMemory memory = machine.memory(0);
        memory.store(PAGE, 5);
        assertThat(machine.peekDram(PAGE)).isZero();
        memory.writeBack(PAGE, 8);
        assertThat(machine.peekDram(PAGE)).isEqualTo(5);
    }

    @ParameterizedTest(name = "flat {0}")
    @ValueSource(booleans = {false, true})
    void memoryIsOneForAllCpus(boolean flat) {
        Machine any = machine(flat);
        any.memory(0).storeRun(PAGE, 1, 2, 100);
        assertThat(any.memory(1).load(PAGE + 8 * 99)).isEqualTo(199);
        assertThat(any.memory(1).leadingSet(PAGE, 1, 200)).isEqualTo(100);
        assertThat(any.memory(1).leadingClear(PAGE, 1, 100)).isZero();
        assertThat(any.memory(2).compareAndSet(PAGE, 1, 7)).isTrue();
        assertThat(any.memory(2).compareAndSet(PAGE, 1, 8)).isFalse();
        assertThat(any.processors().get(3).load(PAGE, MemoryType.WB)).isEqualTo(7);
        assertThat(any.processors().get(3).load(PAGE, MemoryType.UC)).isEqualTo(7);
        assertThat(any.processors()).extracting(Processor::id).containsExactly(0, 1, 2, 3);
    }

    @ParameterizedTest(name = "flat {0}")
    @ValueSource(booleans = {false, true})
    void runsThatLeaveTheirFrameAreBugs(boolean flat) {
        SystemMemory memory = machine(flat).memory(0);
        assertThatThrownBy(() -> memory.storeRun(PAGE + 0xff8, 1, 0, 2)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> memory.leadingClear(PAGE, 1, 0)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> memory.leadingSet(PAGE, 1, 513)).isInstanceOf(IllegalStateException.class);
    }

    @ParameterizedTest(name = "flat {0}")
    @ValueSource(booleans = {false, true})
    void devicesAndUnitsReachTheSameMemory(boolean flat) {
        Machine any = machine(flat);
        Endpoint gpu = any.endpoint(BuiltInTopology.GPU);
        assertThat(any.endpoint(BuiltInTopology.GPU)).isSameAs(gpu);
        gpu.write(OFFSET + PAGE, 9, false);
        assertThat(any.memory(0).load(PAGE)).isEqualTo(9);
        any.memory(0).store(PAGE, 10);
        assertThat(gpu.read(OFFSET + PAGE, false)).isEqualTo(10);
    }

    @Test
    void aFlatMachineHasNothingToBeStale() {
        Machine flat = machine(true);
        Processor cpu = flat.processors().get(0);
        assertThat(cpu.load(PAGE, MemoryType.WB)).isZero();
        flat.endpoint(BuiltInTopology.GPU).write(OFFSET + PAGE, 9, true);
        flat.prefetch(0, PAGE);
        flat.evict(0, PAGE);
        flat.drainCaches();
        cpu.clflush(PAGE);
        cpu.wbinvd();
        cpu.mfence();
        assertThat(cpu.load(PAGE, MemoryType.WB)).isEqualTo(9);
        assertThat(flat.caches()).isEmpty();
        cpu.store(PAGE, 3, MemoryType.UC);
        assertThat(flat.peekDram(PAGE)).isEqualTo(3);
    }

    @Test
    void evictionAndPrefetchAreEvents() {
        machine.memory(1).store(PAGE, 5);
        machine.evict(0, PAGE);
        assertThat(machine.peekDram(PAGE)).isZero();
        machine.evict(1, PAGE);
        assertThat(machine.peekDram(PAGE)).isEqualTo(5);
        machine.prefetch(2, PAGE);
        assertThat(machine.caches().orElseThrow().state(2, PAGE)).isEqualTo(Mesi.EXCLUSIVE);
        machine.memory(3).store(PAGE + 0x40, 6);
        machine.drainCaches();
        assertThat(machine.peekDram(PAGE + 0x40)).isEqualTo(6);
        assertThat(machine.caches().orElseThrow().state(2, PAGE)).isEqualTo(Mesi.INVALID);
    }

    @Test
    void awaitStepsUnitsUntilTheConditionHolds() {
        RegisterWindow registers = machine.registers().map(REGISTERS, 0x100);
        assertThatThrownBy(() -> registers.read32(Integer.MAX_VALUE - 3)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> registers.write64(Integer.MAX_VALUE - 7, 1)).isInstanceOf(IllegalStateException.class);
        registers.write64(8, PAGE);
        registers.write64(0, 10);
        assertThat(registers.read64(0)).as("a write does no work").isEqualTo(10);
        assertThat(machine.waiter().await(() -> machine.peekDram(PAGE) == 8, 100))
                .isTrue();
        assertThat(registers.read64(0)).isEqualTo(7);
    }

    @Test
    void awaitEndsAtItsDeadlineOrWhenNothingCanHappenAnyMore() {
        RegisterWindow registers = machine.registers().map(REGISTERS, 0x100);
        AtomicInteger looks = new AtomicInteger();
        registers.write64(0, 10);
        assertThat(machine.waiter().await(() -> looks.incrementAndGet() < 0, 3)).isFalse();
        assertThat(registers.read64(0)).isEqualTo(7);
        assertThat(machine.waiter().await(() -> looks.incrementAndGet() < 0, Long.MAX_VALUE))
                .isFalse();
        assertThat(registers.read64(0)).isZero();
        looks.set(0);
        assertThat(machine.waiter().await(() -> looks.incrementAndGet() > 0, 0)).isTrue();
        assertThat(looks).hasValue(1);
    }

    @Test
    void runPendingDoesAllWork() {
        machine.unit("unit0").writeRegister64(0, 5);
        machine.unit("unit1").writeRegister64(0, 7);
        machine.runPending();
        assertThat(machine.unit("unit0").readRegister64(0)).isZero();
        assertThat(machine.unit("unit1").readRegister64(0)).isZero();
    }

    @Test
    void narrowReadsGiveTheirPartOfAWiderRegisterAndNarrowWritesNeedARegisterOfTheirOwn() {
        RegisterWindow registers = machine.registers().map(REGISTERS + 0x1000, 0x2000);
        registers.write64(8, 0x8877_6655_4433_2211L);
        assertThat(registers.read8(8)).isEqualTo(0x11);
        assertThat(registers.read8(15)).isEqualTo(0x88);
        assertThat(registers.read16(10)).isEqualTo(0x4433);
        assertThat(registers.read16(14)).isEqualTo(0x8877);
        assertThat(registers.read8(0x1fff)).as("behind the unit's registers").isEqualTo(0xff);
        assertThat(registers.read16(0x1ffe)).isEqualTo(0xffff);
        registers.write8(0x100, 5);
        registers.write16(0x100, 5);
        assertThatThrownBy(() -> registers.read16(9)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> registers.read8(0x2000)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> registers.write8(8, 1))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("unit unit1 has no register of 8 bits; written 0x1 at offset 0x8");
        assertThatThrownBy(() -> registers.write16(8, 1))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("unit unit1 has no register of 16 bits; written 0x1 at offset 0x8");
    }

    @Test
    void registersAreMappedByPhysicalAddress() {
        RegisterWindow second = machine.registers().map(REGISTERS + 0x1000, 0x2000);
        second.write32(16, 1);
        assertThat(machine.unit("unit1").readRegister64(16)).isEqualTo(1);
        assertThat(machine.unit("unit0").readRegister64(16)).isZero();
        assertThat(second.read32(16)).isEqualTo(1);
        assertThat(second.read64(0x100)).as("behind the unit's registers").isEqualTo(-1);
        assertThat(second.read32(0x1ffc)).isEqualTo(-1);
        second.write64(0x100, 5);
        assertThatThrownBy(() -> second.read64(0x2000)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> second.read64(4)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> machine.registers().map(0x1000, 0x1000))
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(Errno.ENXIO))
                .hasMessageContaining("0x1000");
    }

    @Test
    void theVendorContextIsTheMachine() {
        VendorContext context = machine.vendorContext(LinuxRelease.NEWEST);
        context.memory().store(PAGE, 4);
        assertThat(machine.memory(1).load(PAGE)).isEqualTo(4);
        assertThat(context.firmware().table("TEST")).contains(new byte[] {1, 2, 3});
        assertThat(context.firmware().table("DMAR")).isEmpty();
        assertThat(context.release()).isEqualTo(LinuxRelease.NEWEST);
        assertThat(context.topology().functions())
                .extracting(PciFunction::address)
                .isSorted()
                .hasSize(5);
        assertThat(context.topology()
                        .function(BuiltInTopology.GPU)
                        .orElseThrow()
                        .upstreamBridge())
                .contains(BuiltInTopology.GPU_PORT);
        long frame = context.frames().allocate(0);
        assertThat(machine.frames().inUse()).isEqualTo(1);
        context.frames().free(frame, 0);
    }

    @Test
    void kernelFramesAndUserPagesNeverMeet() {
        List<Long> kernel = new ArrayList<>();
        Machine small = factory.create(OffsetUnitProvider.litmus());
        UserProcess process = small.newProcess(0, false);
        for (int page = 0; page < 128; page++) {
            process.allocate(4096L * page, 1, true);
        }
        assertThatThrownBy(() -> process.allocate(4096L * 128, 1, true)).isInstanceOf(IommuException.class);
        while (small.frames().inUse() < 127) {
            kernel.add(small.frames().allocate(0));
        }
        assertThatThrownBy(() -> small.frames().allocate(0)).isInstanceOf(IommuException.class);
        assertThat(kernel).doesNotContain(0L).allMatch(frame -> frame < (1L << 19));
        for (int page = 0; page < 128; page++) {
            assertThat(process.translate(4096L * page)).isGreaterThanOrEqualTo(1L << 19);
        }
    }

    @Test
    void theSameEventsGiveTheSameDigestAndAResetThatOfANewMachine() {
        long fresh = machine.digest();
        play(machine);
        long played = machine.digest();
        Machine other = factory.create(OffsetUnitProvider.ordinary());
        assertThat(other.digest()).isEqualTo(fresh);
        play(other);
        assertThat(other.digest()).isEqualTo(played).isNotEqualTo(fresh);
        for (int round = 0; round < 3; round++) {
            machine.reset();
            assertThat(machine.digest()).isEqualTo(fresh);
            assertThat(machine.frames().inUse()).isZero();
            assertThat(machine.userFrames().inUse()).isZero();
            assertThat(machine.memory(0).load(PAGE)).isZero();
            machine.reset();
            play(machine);
            assertThat(machine.digest()).isEqualTo(played);
        }
    }

    @Test
    void aFlatMachineHasADigestAndAResetToo() {
        Machine flat = machine(true);
        long fresh = flat.digest();
        play(flat);
        long played = flat.digest();
        assertThat(played).isNotEqualTo(fresh);
        flat.reset();
        assertThat(flat.digest()).isEqualTo(fresh);
        play(flat);
        assertThat(flat.digest()).isEqualTo(played);
    }

    @Test
    void aResetTakesTheRegistersFromADriverThatIsVoid() {
        RegisterSpace first = machine.vendorContext(LinuxRelease.NEWEST).registers();
        RegisterSpace second = machine.vendorContext(LinuxRelease.NEWEST).registers();
        first.map(REGISTERS, 4096);
        assertThatThrownBy(() -> second.map(REGISTERS, 4096))
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EBUSY));
        machine.reset();
        assertThat(second.map(REGISTERS, 4096)).isNotNull();
    }

    private static void play(Machine on) {
        on.newProcess(10, false).allocate(0x4000, 3, true);
        on.frames().allocate(1);
        on.memory(0).storeRun(PAGE, 1, 1, 40);
        on.endpoint(BuiltInTopology.GPU).write(OFFSET + PAGE, 9, true);
        on.endpoint(BuiltInTopology.GPU).config().write(0x48, 2, 0);
        on.unit("unit1").writeRegister64(16, 1);
        on.processors().get(2).load(PAGE, MemoryType.WB);
    }

    @Test
    void aMachineWithCachesBelongsToOneThreadUntilItIsReleased() throws ExecutionException, InterruptedException {
        machine.memory(0).store(PAGE, 1);
        assertThatThrownBy(() -> CompletableFuture.runAsync(
                                () -> machine.endpoint(BuiltInTopology.GPU).read(OFFSET + PAGE, true))
                        .get())
                .hasCauseInstanceOf(IllegalStateException.class);
        machine.release();
        assertThat(CompletableFuture.supplyAsync(() -> machine.memory(0).load(PAGE))
                        .get())
                .isEqualTo(1);
    }

    @Test
    void threadsOverAFlatMachineLoseNoUpdate() {
        Machine flat = machine(true);
        List<CompletableFuture<Void>> threads = new ArrayList<>();
        for (int thread = 0; thread < 4; thread++) {
            SystemMemory memory = flat.memory(thread);
            threads.add(CompletableFuture.runAsync(() -> {
                for (int i = 0; i < 10_000; i++) {
                    long old;
                    do {
                        old = memory.load(PAGE);
                    } while (!memory.compareAndSet(PAGE, old, old + 1));
                }
            }));
        }
        threads.forEach(CompletableFuture::join);
        assertThat(flat.peekDram(PAGE)).isEqualTo(40_000);
    }

    @Test
    void whatIsNotThereIsNamed() {
        assertThatThrownBy(() -> machine.endpoint(new PciAddress(0, 9, 0, 0)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("0000:09:00.0");
        assertThatThrownBy(() -> machine.endpoint(BuiltInTopology.GPU_PORT))
                .as("a bridge")
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> machine.unit("unit9"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("unit9");
    }

    @Test
    void descriptionsThatDoNotFitTogetherAreRefused() {
        byte[] config =
                ConfigSpaceBuilder.endpoint(1, 2, ConfigSpaceBuilder.CLASS_VGA).build();
        PciAddress address = new PciAddress(0, 3, 0, 0);
        MachineDescription noUnit = OffsetUnitProvider.with(
                new FunctionDescription(address, Optional.empty(), config, Optional.of("unit7"), false));
        assertThatThrownBy(() -> factory.create(noUnit))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("unit7");
        MachineDescription noBridge = OffsetUnitProvider.with(new FunctionDescription(
                address, Optional.of(BuiltInTopology.GPU_PORT), config, Optional.empty(), false));
        assertThatThrownBy(() -> factory.createFlat(noBridge))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("0000:00:01.0");
        MachineDescription loop = OffsetUnitProvider.with(
                new FunctionDescription(address, Optional.of(address), config, Optional.empty(), false));
        assertThatThrownBy(() -> factory.create(loop).endpoint(address))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("loop");
        assertThatThrownBy(() -> new MachineFactory(List.of()).create(OffsetUnitProvider.litmus()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("offset");
    }

    @Test
    void builtInMachinesAreFoundByName() {
        assertThat(factory.named("offset-litmus").processors().cpus()).isEqualTo(2);
        assertThat(factory.builtIn()).hasSize(2);
        assertThatThrownBy(() -> factory.named("vax"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("no machine 'vax'; known: offset-ordinary, offset-litmus");
        assertThatThrownBy(() -> new MachineFactory(List.of(new OffsetUnitProvider(), new OffsetUnitProvider())))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("'offset'");
    }
}
