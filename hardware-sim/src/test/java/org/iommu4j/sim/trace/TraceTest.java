// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.trace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.machine.OffsetUnitProvider;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.Endpoint;
import org.junit.jupiter.api.Test;

class TraceTest {
    private static final long PAGE = 0x8000000;
    private static final long IOVA = OffsetUnitProvider.OFFSET + PAGE;

    private final Machine machine =
            new MachineFactory(List.of(new OffsetUnitProvider())).create(OffsetUnitProvider.ordinary());
    private final Trace trace = machine.trace();
    private final Processor cpu = machine.processors().get(0);
    private final Endpoint gpu = machine.endpoint(BuiltInTopology.GPU);

    @Test
    void nothingIsRecordedUntilItIsOn() {
        cpu.store(PAGE, 1, MemoryType.WB);
        trace.note("unheard");
        assertThat(trace.size()).isZero();
        trace.start();
        cpu.load(PAGE, MemoryType.WB);
        trace.stop();
        cpu.load(PAGE, MemoryType.WB);
        assertThat(trace.size()).isEqualTo(1);
        trace.clear();
        assertThat(trace.size()).isZero();
    }

    @Test
    void aReplayIntoFlatMemoryFindsExactlyTheStaleReads() {
        trace.start();
        cpu.load(PAGE, MemoryType.WB);
        gpu.write(IOVA, 7, true);
        cpu.load(PAGE, MemoryType.WB);
        machine.memory(0).writeBack(PAGE, 8);
        cpu.load(PAGE, MemoryType.WB);
        machine.memory(1).storeRun(PAGE + 0x100, 1, 1, 16);
        gpu.read(IOVA + 0x100, true);
        gpu.read(IOVA + 0x108, false);
        gpu.write(PAGE, 9, false);
        machine.unit("unit0").writeRegister64(8, PAGE + 0x200);
        machine.unit("unit0").writeRegister64(0, 2);
        machine.runPending();
        cpu.load(PAGE + 0x200, MemoryType.UC);

        Map<Long, Long> flat = new HashMap<>();
        StringBuilder stale = new StringBuilder();
        for (int event = 0; event < trace.size(); event++) {
            long address = trace.address(event);
            switch (trace.kind(event)) {
                case STORE, DMA_WRITE, UNIT_WRITE -> {
                    if (!trace.has(event, Trace.FAULT)) {
                        flat.put(address, trace.value(event));
                    }
                }
                case LOAD, DMA_READ, UNIT_READ -> {
                    long expected = flat.getOrDefault(address, 0L);
                    if (!trace.has(event, Trace.FAULT) && expected != trace.value(event)) {
                        stale.append(trace.who(event))
                                .append(' ')
                                .append(Long.toHexString(address))
                                .append(" expected ")
                                .append(expected)
                                .append(" saw ")
                                .append(trace.value(event))
                                .append("; ");
                    }
                }
                default -> assertThat(trace.describe(event)).isNotEmpty();
            }
        }
        assertThat(stale).hasToString("cpu0 8000000 expected 7 saw 0; 0000:01:00.0 8000100 expected 1 saw 0; ");
    }

    @Test
    void movementsOfLinesCarryTheirData() {
        cpu.store(PAGE + 8, 5, MemoryType.WB);
        trace.start();
        cpu.clflush(PAGE);
        assertThat(trace.kind(0)).isEqualTo(TraceKind.CLFLUSH);
        assertThat(trace.kind(1)).isEqualTo(TraceKind.WRITE_BACK);
        assertThat(trace.who(1)).isEqualTo("cache0");
        assertThat(trace.address(1)).isEqualTo(PAGE);
        assertThat(trace.lineWord(1, 1)).isEqualTo(5);
        assertThat(trace.kind(2)).isEqualTo(TraceKind.INVALIDATE);
        assertThat(trace.has(2, Trace.DIRTY)).isTrue();
        assertThatThrownBy(() -> trace.lineWord(0, 0)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> trace.kind(3)).isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void aLabelNamesWhoeverTheCpusWorkFor() {
        trace.start();
        trace.initiator("vcpu0");
        cpu.store(PAGE, 1, MemoryType.UC);
        trace.note("hello");
        trace.initiator("");
        cpu.mfence();
        assertThat(trace.who(0)).isEqualTo("vcpu0");
        assertThat(trace.source(0)).isZero();
        assertThat(trace.text(1)).isEqualTo("hello");
        assertThat(trace.value(1)).isZero();
        assertThat(trace.who(2)).isEqualTo("cpu0");
        assertThat(trace.describe(0)).isEqualTo("0 vcpu0 STORE at 0x8000000 value 0x1, UC");
        assertThat(trace.describe(1)).isEqualTo("1 vcpu0 NOTE hello");
        assertThat(trace.describe(2)).isEqualTo("2 cpu0 MFENCE");
    }

    @Test
    void manyEventsAreKeptAlsoAfterAnEarlierTraceWasCleared() {
        trace.start();
        trace.note("an earlier trace");
        cpu.store(PAGE, 1, MemoryType.WB);
        cpu.clflush(PAGE);
        trace.clear();
        for (int i = 0; i < 10_000; i++) {
            trace.note("store " + i);
            cpu.store(PAGE + 64L * (i % 1000), i, MemoryType.WB);
            cpu.clflush(PAGE + 64L * (i % 1000));
        }
        int notes = 0;
        int stores = 0;
        int writeBacks = 0;
        for (int event = 0; event < trace.size(); event++) {
            switch (trace.kind(event)) {
                case NOTE -> assertThat(trace.text(event)).isEqualTo("store " + notes++);
                case STORE -> assertThat(trace.value(event)).isEqualTo(stores++);
                case WRITE_BACK -> {
                    assertThat(trace.value(event)).isEqualTo(writeBacks);
                    assertThat(trace.lineWord(event, 1)).isZero();
                    assertThat(trace.address(event)).isEqualTo(PAGE + 64L * (writeBacks++ % 1000));
                }
                default -> assertThat(trace.text(event)).isEmpty();
            }
        }
        assertThat(List.of(notes, stores, writeBacks)).containsOnly(10_000);
    }

    @Test
    void registersAreRecordedUnderTheirUnit() {
        trace.start();
        RegisterWindow window = machine.registers().map(OffsetUnitProvider.REGISTERS + 0x1000, 0x100);
        window.write64(8, PAGE);
        assertThat(trace.describe(0)).isEqualTo("0 unit1 REGISTER_WRITE at 0xfed91008 value 0x8000000");
        assertThat(window.read8(11)).isEqualTo(8);
        assertThat(trace.describe(1)).isEqualTo("1 unit1 REGISTER_READ at 0xfed9100b value 0x8, 1 byte");
        assertThat(window.read16(10)).isEqualTo(0x800);
        assertThat(trace.describe(2)).isEqualTo("2 unit1 REGISTER_READ at 0xfed9100a value 0x800, 2 bytes");
    }

    @Test
    void loadsAndStoresHoldTheTypeThatTheGuestWishedBesideTheOneThatTheyHad() {
        trace.start();
        trace.initiator("vcpu0", MemoryType.UC);
        cpu.store(PAGE, 1, MemoryType.WB);
        int store = trace.size() - 1;
        cpu.load(PAGE, MemoryType.UC);
        int load = trace.size() - 1;
        cpu.clflush(PAGE);
        cpu.mfence();
        int fence = trace.size() - 1;
        trace.initiator("vcpu0");
        cpu.load(PAGE, MemoryType.UC);
        int other = trace.size() - 1;

        assertThat(trace.flags(store)).isEqualTo(Trace.UC_WISHED);
        assertThat(trace.flags(load)).isEqualTo(Trace.UC_WISHED | Trace.UNCACHEABLE);
        assertThat(trace.flags(fence)).isZero();
        assertThat(trace.flags(other)).isEqualTo(Trace.UNCACHEABLE);
        assertThat(trace.describe(store)).contains("vcpu0 STORE").endsWith(", UC wished");
        trace.initiator("vcpu0", MemoryType.UC);
        trace.clear();
        cpu.store(PAGE, 1, MemoryType.WB);
        assertThat(trace.has(trace.size() - 1, Trace.UC_WISHED)).isFalse();
    }
}
