// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.iommu4j.sim.machine.OffsetUnitProvider.OFFSET;

import java.util.List;
import java.util.Optional;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.machine.OffsetUnitProvider;
import org.iommu4j.sim.machine.OffsetUnitProvider.OffsetUnit;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EndpointTest {
    private static final long PAGE = 0x8000000;
    private static final long IOVA = OFFSET + PAGE;

    private final MachineFactory factory = new MachineFactory(List.of(new OffsetUnitProvider()));
    private final Machine machine = factory.create(OffsetUnitProvider.ordinary());
    private final Processor cpu = machine.processors().get(0);
    private final Endpoint gpu = machine.endpoint(BuiltInTopology.GPU);

    /** A CPU has the line modified; a request that goes past the caches sees and leaves the old memory. */
    @ParameterizedTest(name = "enabled {0}, wished {1}, forced {2}: past the caches {3}")
    @CsvSource({
        "true,  true,  false, true",
        "true,  true,  true,  false",
        "true,  false, false, false",
        "true,  false, true,  false",
        "false, true,  false, false",
        "false, true,  true,  false",
        "false, false, false, false",
    })
    void aRequestGoesPastTheCachesOnlyWhenNoSnoopIsEnabledAndWishedAndNotBlocked(
            boolean enabled, boolean wished, boolean forced, boolean past) {
        gpu.config().write(0x48, 2, enabled ? 0x2810 : 0x2010);
        machine.registers().map(OffsetUnitProvider.REGISTERS, 0x100).write64(16, forced ? 1 : 0);
        machine.trace().start();
        cpu.store(PAGE, 1, MemoryType.WB);

        assertThat(gpu.read(IOVA, wished)).isEqualTo(past ? 0 : 1);
        assertThat(gpu.write(IOVA, 2, wished)).isTrue();
        assertThat(machine.peekDram(PAGE)).isEqualTo(2);
        assertThat(cpu.load(PAGE, MemoryType.WB)).isEqualTo(past ? 1 : 2);

        Trace trace = machine.trace();
        int write = last(TraceKind.DMA_WRITE);
        assertThat(trace.has(write, Trace.NO_SNOOP_REQUESTED)).isEqualTo(wished);
        assertThat(trace.has(write, Trace.NO_SNOOP_SENT)).isEqualTo(wished && enabled);
        assertThat(trace.has(write, Trace.NO_SNOOP_BLOCKED)).isEqualTo(wished && enabled && forced);
        assertThat(trace.has(write, Trace.UNSNOOPED)).isEqualTo(past);
        assertThat(trace.iova(write)).isEqualTo(IOVA);
        assertThat(trace.address(write)).isEqualTo(PAGE);
        assertThat(trace.value(write)).isEqualTo(2);
        assertThat(trace.who(write)).isEqualTo("0000:01:00.0");
        assertThat(trace.source(write)).isEqualTo(0x0100);
    }

    private int last(TraceKind kind) {
        for (int event = machine.trace().size() - 1; event >= 0; event--) {
            if (machine.trace().kind(event) == kind) {
                return event;
            }
        }
        throw new AssertionError("no " + kind);
    }

    @Test
    void aFaultReadsAllOnesWritesNothingAndIsKeptUntilTheNextRequest() {
        machine.trace().start();
        assertThat(gpu.read(PAGE, false)).isEqualTo(-1);
        assertThat(gpu.lastStatus()).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        assertThat(gpu.lastFault()).isEqualTo(OffsetUnitProvider.FAULT);
        assertThat(gpu.write(PAGE, 7, false)).isFalse();
        assertThat(machine.peekDram(PAGE)).isZero();
        int write = last(TraceKind.DMA_WRITE);
        assertThat(machine.trace().has(write, Trace.FAULT)).isTrue();
        assertThat(machine.trace().fault(write)).isEqualTo(OffsetUnitProvider.FAULT);
        assertThat(gpu.write(IOVA, 7, false)).isTrue();
        assertThat(gpu.lastFault()).isZero();
    }

    @Test
    void nothingIsSentWhileBusMasteringIsOff() {
        gpu.config().write(4, 2, 0x0002);
        assertThat(gpu.write(IOVA, 7, false)).isFalse();
        assertThat(gpu.lastStatus()).isEqualTo(RequestStatus.BUS_MASTER_DISABLED);
        assertThat(gpu.read(IOVA, false)).isEqualTo(-1);
        assertThat(((OffsetUnit) machine.unit("unit0")).requesters()).isEmpty();
        gpu.config().write(4, 2, 0x0006);
        assertThat(gpu.write(IOVA, 7, false)).isTrue();
        assertThat(machine.peekDram(PAGE)).isEqualTo(7);
    }

    @Test
    void aPortThatIsNoBusMasterPassesNothingOn() {
        machine.topology()
                .function(BuiltInTopology.GPU_PORT)
                .orElseThrow()
                .config()
                .write(4, 2, 0);
        assertThat(gpu.write(IOVA, 7, false)).isFalse();
        assertThat(gpu.lastStatus()).isEqualTo(RequestStatus.UNSUPPORTED_REQUEST);
        assertThat(machine.endpoint(BuiltInTopology.SECOND_GPU).write(IOVA, 7, false))
                .isTrue();
    }

    @ParameterizedTest
    @ValueSource(longs = {0xfee00000L, 0xfee00ff8L, 0xfeeffff8L})
    void writesIntoTheInterruptWindowAreNoDma(long address) {
        machine.trace().start();
        assertThat(gpu.write(address, 0x4041, false)).isTrue();
        assertThat(gpu.lastStatus()).isEqualTo(RequestStatus.INTERRUPT);
        assertThat(((OffsetUnit) machine.unit("unit0")).requesters()).isEmpty();
        assertThat(machine.trace().kind(0)).isEqualTo(TraceKind.INTERRUPT);
        assertThat(gpu.read(address, false)).isEqualTo(-1);
        assertThat(gpu.lastStatus()).isEqualTo(RequestStatus.UNSUPPORTED_REQUEST);
    }

    @ParameterizedTest
    @ValueSource(longs = {0xfedffff8L, 0xfef00000L})
    void theInterruptWindowEndsWhereItEnds(long address) {
        gpu.write(address, 1, false);
        assertThat(gpu.lastStatus()).isEqualTo(RequestStatus.TRANSLATION_FAULT);
    }

    @Test
    void whatIsNoMemoryReadsAsOnesAndSwallowsWrites() {
        long iova = OFFSET + BuiltInTopology.MEMORY_BYTES;
        machine.trace().start();
        assertThat(gpu.write(iova, 7, false)).isTrue();
        assertThat(gpu.read(iova, true)).isEqualTo(-1);
        assertThat(machine.trace().has(last(TraceKind.DMA_WRITE), Trace.FAULT)).isTrue();
        assertThat(machine.trace().has(last(TraceKind.DMA_READ), Trace.FAULT)).isTrue();
    }

    @Test
    void eachDevicesRequestsPassItsOwnUnit() {
        gpu.read(IOVA, false);
        machine.endpoint(BuiltInTopology.SECOND_GPU).read(IOVA, false);
        assertThat(((OffsetUnit) machine.unit("unit0")).requesters()).containsExactly(0x0100);
        assertThat(((OffsetUnit) machine.unit("unit1")).requesters()).containsExactly(0x0200);
    }

    @Test
    void behindAPciExpressToPciBridgeRequestsCarryTheSecondaryBusAndNeverNoSnoop() {
        PciAddress bridge = new PciAddress(0, 1, 0, 0);
        PciAddress device = new PciAddress(0, 2, 3, 0);
        Machine other = factory.create(OffsetUnitProvider.with(
                function(
                        bridge,
                        Optional.empty(),
                        ConfigSpaceBuilder.pciExpressToPciBridge(1, 2, 1, 2, 2).build()),
                function(
                        device,
                        Optional.of(bridge),
                        ConfigSpaceBuilder.conventional(1, 3, ConfigSpaceBuilder.CLASS_ETHERNET)
                                .build())));
        other.processors().get(0).store(PAGE, 1, MemoryType.WB);
        assertThat(other.endpoint(device).read(IOVA, true)).isEqualTo(1);
        assertThat(((OffsetUnit) other.unit("unit0")).requesters()).containsExactly(0x0200);
        assertThat(other.endpoint(device).requesterId()).isEqualTo(0x0200);
    }

    @Test
    void behindAConventionalBridgeRequestsCarryTheBridgesId() {
        PciAddress bridge = new PciAddress(0, 0, 0x1e, 0);
        PciAddress device = new PciAddress(0, 2, 3, 0);
        byte[] config = ConfigSpaceBuilder.conventional(1, 2, ConfigSpaceBuilder.CLASS_PCI_BRIDGE)
                .build();
        config[0x0e] = 1;
        Machine other = factory.create(OffsetUnitProvider.with(
                function(bridge, Optional.empty(), config),
                function(
                        device,
                        Optional.of(bridge),
                        ConfigSpaceBuilder.conventional(1, 3, ConfigSpaceBuilder.CLASS_ETHERNET)
                                .build())));
        assertThat(other.endpoint(device).requesterId()).isEqualTo(bridge.requesterId());
    }

    private static FunctionDescription function(PciAddress address, Optional<PciAddress> above, byte[] config) {
        return new FunctionDescription(address, above, config, Optional.of("unit0"), false);
    }

    @Test
    void aDeviceWithoutAUnitReachesMemoryUntranslated() {
        PciAddress device = new PciAddress(0, 0, 4, 0);
        Machine other = factory.create(OffsetUnitProvider.with(new FunctionDescription(
                device,
                Optional.empty(),
                ConfigSpaceBuilder.endpoint(1, 2, ConfigSpaceBuilder.CLASS_VGA).build(),
                Optional.empty(),
                false)));
        assertThat(other.endpoint(device).write(PAGE, 7, false)).isTrue();
        assertThat(other.peekDram(PAGE)).isEqualTo(7);
    }

    @Test
    void aProgramRunsItsStepsInOrder() {
        DmaProgram program = DmaProgram.empty()
                .write(IOVA, 7, false)
                .then(new DmaProgram.Write(IOVA + 8, 8, 2, false))
                .copy(IOVA, IOVA + 0x100, 3, false)
                .read(IOVA + 0x100, false)
                .then(new DmaProgram.Read(IOVA + 0x108, 2, false));
        DmaProgram.Result result = gpu.run(program);
        assertThat(result.completedSteps()).isEqualTo(5);
        assertThat(result.values()).containsExactly(7L, 8L, 8L);
    }

    @Test
    void aProgramStopsAtItsFirstRefusedRequest() {
        DmaProgram program = DmaProgram.empty()
                .write(IOVA, 7, false)
                .copy(IOVA, 0x1000, 1, false)
                .write(IOVA, 9, false);
        DmaProgram.Result result = gpu.run(program);
        assertThat(result.completedSteps()).isEqualTo(1);
        assertThat(gpu.lastStatus()).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        assertThat(machine.peekDram(PAGE)).isEqualTo(7);
    }

    @Test
    void anotherRequesterOfTheSameFunctionHasItsOwnResults() {
        Endpoint other = gpu.fork();
        gpu.read(PAGE, false);
        other.read(IOVA, false);
        assertThat(gpu.lastStatus()).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        assertThat(other.lastStatus()).isEqualTo(RequestStatus.DONE);
        assertThat(other.config()).isSameAs(gpu.config());
    }

    @Test
    void misalignedRequestsAreRefused() {
        assertThatThrownBy(() -> gpu.read(IOVA + 4, false))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("0000:01:00.0");
    }
}
