// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Every reason for which the unit blocks a request, each from tables that are right but for one word. */
class VtdFaultReasonTest {
    private static final long IOVA = Bench.IOVA;
    private static final long NOWHERE = 0x4000_0000L;

    private final List<DynamicTest> cases = new ArrayList<>();

    private void given(String what, Consumer<Bench> change, boolean write, long address, int reason) {
        cases.add(dynamicTest("reason 0x" + Integer.toHexString(reason) + ": " + what, () -> {
            Bench bench = new Bench(Bench.CAP, Bench.ECAP_NOSC).tables();
            change.accept(bench);
            bench.on();

            long translation = write ? bench.write(address) : bench.read(address);

            assertThat(Translation.toString(translation)).isEqualTo("fault 0x" + Integer.toHexString(reason));
            assertThat(bench.unit.readRegister64(Bench.FRCD)).isEqualTo(address & ~0xfffL);
            assertThat(bench.unit.readRegister64(Bench.FRCD + 8))
                    .isEqualTo(1L << 63 | (write ? 0 : 1L << 62) | (long) reason << 32 | Bench.DEVICE);
            assertThat(bench.recordedReasons()).containsExactly(reason);
        }));
    }

    private void readFaults(String what, long address, long word, int reason) {
        given(what, bench -> bench.put(address, word), false, IOVA, reason);
    }

    @TestFactory
    Stream<DynamicTest> isReportedInTheAnswerAndInTheFirstRecord() {
        readFaults("root entry not present", Bench.ROOT + 0x20, Bench.CONTEXTS, 0x1);
        readFaults("context entry not present", Bench.CONTEXT, Bench.L4, 0x2);
        readFaults("AW of 3 levels, not in SAGAW", Bench.CONTEXT + 8, 0x0501, 0x3);
        readFaults("AW reserved", Bench.CONTEXT + 8, 0x0507, 0x3);
        readFaults("TT reserved", Bench.CONTEXT, Bench.L4 | 0xd, 0x3);
        readFaults("TT for device TLBs without ECAP.DT", Bench.CONTEXT, Bench.L4 | 0x5, 0x3);
        readFaults("ASR outside memory", Bench.CONTEXT, NOWHERE | 1, 0x3);
        given("address of 49 bits", bench -> {}, false, 1L << 48, 0x4);
        given("address with the highest bit", bench -> {}, true, 1L << 63 | IOVA, 0x4);
        given("leaf without W", bench -> bench.put(Bench.L1 + 8, Bench.PAGE | 1), true, IOVA, 0x5);
        given("table without W above a leaf with it", bench -> bench.put(Bench.L3 + 8, Bench.L2 | 1), true, IOVA, 0x5);
        given("top-level entry empty", bench -> bench.put(Bench.L4 + 8, 0), true, IOVA, 0x5);
        readFaults("leaf without R", Bench.L1 + 8, Bench.PAGE | 2, 0x6);
        readFaults("table without R above a leaf with it", Bench.L4 + 8, Bench.L3 | 2, 0x6);
        readFaults("leaf empty", Bench.L1 + 8, 0, 0x6);
        readFaults("leaf with reserved bits but neither R nor W", Bench.L1 + 8, 0x800, 0x6);
        readFaults("table of level 3 outside memory", Bench.L4 + 8, NOWHERE | 3, 0x7);
        readFaults("table of level 1 outside memory", Bench.L2 + 8, NOWHERE | 3, 0x7);
        readFaults("context table outside memory", Bench.ROOT + 0x20, NOWHERE | 1, 0x9);
        readFaults("root entry bit 1", Bench.ROOT + 0x20, Bench.CONTEXTS | 3, 0xa);
        readFaults("root entry bit 52", Bench.ROOT + 0x20, 1L << 52 | Bench.CONTEXTS | 1, 0xa);
        readFaults("root entry's upper word", Bench.ROOT + 0x28, 1, 0xa);
        readFaults("context entry bit 4", Bench.CONTEXT, Bench.L4 | 0x11, 0xb);
        readFaults("context entry bit 71", Bench.CONTEXT + 8, 0x0582, 0xb);
        readFaults("context entry bit 88", Bench.CONTEXT + 8, 1L << 24 | 0x0502, 0xb);
        readFaults("SNP in a leaf without ECAP.SC", Bench.L1 + 8, Bench.PAGE | 0x803, 0xc);
        readFaults("SNP in a table of level 2", Bench.L2 + 8, Bench.L1 | 0x803, 0xc);
        readFaults("SNP in a table of level 4", Bench.L4 + 8, Bench.L3 | 0x803, 0xc);
        readFaults("PS at level 4", Bench.L4 + 8, Bench.L3 | 0x83, 0xc);
        readFaults("2M leaf that is not aligned", Bench.L2 + 8, 0x201000 | 0x83, 0xc);
        readFaults("1G leaf that is not aligned", Bench.L3 + 8, 0x200000 | 0x83, 0xc);
        readFaults("bit 62 of a table", Bench.L3 + 8, 1L << 62 | Bench.L2 | 3, 0xc);
        readFaults("output in the interrupt range", Bench.L1 + 8, 0xfee00000L | 3, 0xe);
        return cases.stream();
    }

    @Test
    void aRootTableOutsideMemoryIsReason8() {
        Bench bench = Bench.withSnoopControl();
        bench.unit.writeRegister64(Bench.RTADDR, NOWHERE);
        bench.command(Bench.TE | Bench.QIE | Bench.SRTP);
        assertThat(bench.readText(IOVA)).isEqualTo("fault 0x8");
        assertThat(bench.recordedReasons()).containsExactly(0x8);
    }

    @Test
    void aPoisonedEntryIsFaultedAsOneThatCanNotBeRead() {
        long[][] lines = {{Bench.ROOT + 0x20, 8}, {Bench.CONTEXT, 9}, {Bench.L4, 3}, {Bench.L1, 7}};
        for (long[] line : lines) {
            Bench bench = Bench.withSnoopControl();
            bench.fabric.poisonedLine = line[0] & -64;
            assertThat(bench.readText(IOVA)).isEqualTo("fault 0x" + line[1]);
            assertThat(bench.recordedReasons()).containsExactly((int) line[1]);
        }
    }

    @Test
    void aPoisonedDescriptorStopsTheQueue() {
        Bench bench = Bench.withSnoopControl();
        bench.fabric.poisonedLine = Bench.QUEUE;
        bench.invalidate(1, 0);
        assertThat(bench.unit.readRegister32(Bench.FSTS) & 1 << 4).as("IQE").isNotZero();
        assertThat(bench.unit.readRegister64(Bench.IQH)).isZero();
    }

    @Test
    void pageSizesThatSllpsLacksAreReservedBits() {
        for (long[] entry : new long[][] {{Bench.L2 + 8, 0x200000 | 0x83}, {Bench.L3 + 8, 0x40000000L | 0x83}}) {
            Bench bench = new Bench(Bench.CAP & ~(3L << 34), Bench.ECAP_NOSC).tables();
            bench.put(entry[0], entry[1]);
            bench.on();
            assertThat(bench.readText(IOVA)).isEqualTo("fault 0xc");
        }
    }

    @Test
    void addressBitsBeyondTheHostsWidthAreReserved() {
        var spec =
                VtdUnitProvider.machine("m", Bench.CAP, Bench.ECAP_NOSC).units().get(0);
        RecordingFabric fabric = new RecordingFabric(1 << 24);
        TranslationUnit unit = new VtdUnitProvider().create(spec, fabric);
        fabric.memory.store(Bench.ROOT + 0x20, 1L << 46 | Bench.CONTEXTS | 1);
        unit.writeRegister64(Bench.RTADDR, Bench.ROOT);
        unit.writeRegister32(Bench.GCMD, Bench.SRTP | Bench.TE);
        assertThat(unit.step()).isTrue();
        assertThat(Translation.toString(unit.translate(Bench.DEVICE, -1, 0, RequestFlags.READ)))
                .isEqualTo("fault 0xa");
    }

    @Test
    void domainIdsBeyondCapNdAreReserved() {
        Bench bench = new Bench((Bench.CAP & ~7L) | 2, Bench.ECAP_NOSC).tables(); // 8 bits
        bench.put(Bench.CONTEXT + 8, 0x10002);
        bench.on();
        assertThat(bench.readText(IOVA)).isEqualTo("fault 0xb");
    }

    @Test
    void faultProcessingDisableSuppressesTheRecordAndNotTheFault() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_NOSC).tables();
        bench.put(Bench.CONTEXT, Bench.L4 | 3);
        bench.put(Bench.L1 + 8, 0);
        bench.on();
        assertThat(bench.readText(IOVA)).isEqualTo("fault 0x6");
        assertThat(bench.readText(1L << 50)).isEqualTo("fault 0x4");
        assertThat(bench.recordedReasons()).isEmpty();
    }

    @Test
    void faultProcessingDisableCountsInAContextEntryThatIsNotPresent() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_NOSC).tables();
        bench.put(Bench.CONTEXT, 2);
        bench.on();
        assertThat(bench.readText(IOVA)).isEqualTo("fault 0x2");
        assertThat(bench.recordedReasons()).isEmpty();
    }

    @Test
    void requestsWithPasidAreBlockedInLegacyMode() {
        Bench bench = Bench.withSnoopControl();
        assertThat(Translation.toString(bench.unit.translate(Bench.DEVICE, 7, IOVA, RequestFlags.READ)))
                .isEqualTo("fault 0x31");
        assertThat(bench.recordedReasons()).containsExactly(0x31);
    }

    @Test
    void aScalableModeRootTableBlocksEveryRequest() {
        Bench bench = Bench.withSnoopControl();
        bench.unit.writeRegister64(Bench.RTADDR, Bench.ROOT | 0x400);
        bench.command(Bench.TE | Bench.QIE | Bench.SRTP);
        assertThat(bench.readText(IOVA)).isEqualTo("fault 0x30");
        assertThat(bench.recordedReasons()).containsExactly(0x30);
    }
}
