// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.iommu4j.sim.spi.Translation;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Every reason for which a request is blocked in scalable mode, each from tables that are right but for one word. */
class VtdScalableFaultTest {
    private static final int NONE = ScalableBench.NO_PASID;
    private static final long IOVA = Bench.IOVA;
    private static final long NOWHERE = 0x4000_0000L;
    private static final long ENTRY3 = ScalableBench.PASIDS + 3 * 64;
    private static final long SNOOPED = 5 | ScalableBench.PWSNP;

    private final List<DynamicTest> cases = new ArrayList<>();

    private void given(
            int reason,
            String what,
            Supplier<ScalableBench> tables,
            Consumer<ScalableBench> change,
            int pasid,
            long address,
            boolean write) {
        cases.add(dynamicTest("reason 0x" + Integer.toHexString(reason) + ": " + what, () -> {
            ScalableBench bench = tables.get();
            change.accept(bench);
            bench.on();
            assertThat(Translation.toString(bench.translate(pasid, address, write)))
                    .isEqualTo("fault 0x" + Integer.toHexString(reason));
            assertThat(bench.unit.readRegister64(Bench.FRCD)).isEqualTo(address & ~0xfffL);
            long withPasid = pasid == NONE ? 0 : 1L << 31 | (long) pasid << 40;
            assertThat(bench.unit.readRegister64(Bench.FRCD + 8))
                    .isEqualTo(1L << 63 | (write ? 0 : 1L << 62) | withPasid | (long) reason << 32 | Bench.DEVICE);
            assertThat(bench.bench.recordedReasons()).containsExactly(reason);
        }));
    }

    private void second(int reason, String what, long address, long word) {
        given(reason, what, () -> new ScalableBench().secondStage(), b -> b.put(address, word), NONE, IOVA, false);
    }

    private void first(int reason, String what, long address, long word) {
        given(reason, what, () -> new ScalableBench().firstStage(3), b -> b.put(address, word), 3, IOVA, false);
    }

    private void nested(int reason, String what, long address, long word) {
        given(reason, what, VtdScalableModeTest::nested, b -> b.put(address, word), 3, IOVA, true);
    }

    @TestFactory
    Stream<DynamicTest> isReportedInTheAnswerAndInTheFirstRecord() {
        second(0x39, "lower half of the root entry not present", Bench.ROOT + 0x20, Bench.CONTEXTS);
        second(0x3a, "root entry bit 1", Bench.ROOT + 0x20, Bench.CONTEXTS | 3);
        second(0x40, "context table outside memory", Bench.ROOT + 0x20, NOWHERE | 1);
        second(0x41, "context entry not present", Bench.CONTEXT, ScalableBench.DIRECTORY);
        second(0x42, "context entry bit 5", Bench.CONTEXT, ScalableBench.DIRECTORY | 0x21);
        second(0x42, "context entry bit 85", Bench.CONTEXT + 8, 1 << 21);
        second(0x42, "context entry bit 128", Bench.CONTEXT + 16, 1);
        second(0x42, "context entry bit 255", Bench.CONTEXT + 24, 1L << 63);
        first(0x45, "PASIDE clear", Bench.CONTEXT, ScalableBench.DIRECTORY | 1);
        given(0x46, "PASID beyond PDTS", () -> new ScalableBench().firstStage(3), b -> {}, 1 << 13, IOVA, false);
        second(0x48, "RID_PASID beyond PDTS", Bench.CONTEXT + 8, 1 << 13);
        second(0x50, "PASID directory outside memory", Bench.CONTEXT, NOWHERE | 1);
        second(0x51, "PASID directory entry not present", ScalableBench.DIRECTORY, ScalableBench.PASIDS);
        second(0x52, "PASID directory entry bit 2", ScalableBench.DIRECTORY, ScalableBench.PASIDS | 5);
        second(0x58, "PASID table outside memory", ScalableBench.DIRECTORY, NOWHERE | 1);
        first(0x59, "PASID entry not present", ENTRY3, ScalableBench.FIRST & ~1);
        first(0x5a, "PASID entry bit 5", ENTRY3, ScalableBench.FIRST | 1 << 5);
        first(0x5a, "PASID entry bit 80", ENTRY3 + 8, 1 << 16);
        first(0x5a, "PASID entry bit 136", ENTRY3 + 16, Bench.L4 | 1 << 8);
        first(0x5a, "ERE without ECAP.ERS", ENTRY3 + 16, Bench.L4 | 2);
        first(0x5a, "PASID entry bit 192", ENTRY3 + 24, 1);
        first(0x5a, "PASID entry bit 511", ENTRY3 + 56, 1L << 63);
        first(0x5b, "PGTT 0", ENTRY3, 1);
        first(0x5b, "PGTT 5", ENTRY3, 5 << 6 | 1);
        first(0x5b, "FSPM 2", ENTRY3 + 16, Bench.L4 | 2 << 2);
        second(0x5b, "AW of 6 levels", ScalableBench.PASIDS, Bench.L4 | 4 << 2 | 2 << 6 | 1);
        first(0x70, "first-stage table of level 3 outside memory", Bench.L4 + 8, NOWHERE | 7);
        first(0x71, "first-stage leaf not present", Bench.L1 + 8, 6);
        first(0x71, "first-stage top entry not present", Bench.L4 + 8, 0);
        first(0x72, "PS at level 4", Bench.L4 + 8, Bench.L3 | 0x87);
        first(0x72, "2M page that is not aligned", Bench.L2 + 8, 0x602000 | 0x87);
        first(0x72, "1G page that is not aligned", Bench.L3 + 8, 0x200000 | 0x87);
        first(0x73, "FSPTPTR outside memory", ENTRY3 + 16, NOWHERE);
        nested(0x74, "FSPTPTR beyond the second stage", ENTRY3 + 16, 1L << 48);
        nested(0x75, "no right to read the top-level table", Bench.L1 + 8, 0x40_1000 | 2);
        nested(0x76, "no right to read the table of level 3", Bench.L1 + 16, 0);
        nested(0x77, "no right to write a table's flags", Bench.L1 + 16, 0x40_2000 | 1);
        second(0x78, "second-stage table of level 2 outside memory", Bench.L3 + 8, NOWHERE | 3);
        second(0x79, "second-stage leaf empty", Bench.L1 + 8, 0);
        nested(0x79, "the guest's page not mapped", Bench.L1 + 8 * 5, 0);
        second(0x7a, "SNP in a table", Bench.L2 + 8, Bench.L1 | 0x803);
        nested(0x7a, "SNP in a table of the second stage", Bench.L3, Bench.L2 | 0x803);
        second(0x7b, "SSPTPTR outside memory", ScalableBench.PASIDS, NOWHERE | 2 << 2 | 2 << 6 | 1);
        given(
                0x7c,
                "A to be set in an entry while PWSNP is clear",
                () -> new ScalableBench().secondStage(),
                b -> b.pasid(0, ScalableBench.SECOND | 1 << 9, 5, 0),
                NONE,
                IOVA,
                false);
        given(0x80, "not canonical", () -> new ScalableBench().firstStage(3), b -> {}, 3, 1L << 47, false);
        first(0x81, "supervisor's page", Bench.L1 + 8, Bench.PAGE | 3);
        first(0x81, "supervisor's table", Bench.L3 + 8, Bench.L2 | 3);
        given(0x83, "beyond AW", () -> new ScalableBench().secondStage(), b -> {}, NONE, 1L << 48, true);
        nested(0x84, "the guest's page beyond the second stage", 0x40_3000 + 8, 1L << 48 | 7);
        given(
                0x85,
                "first-stage table read-only",
                () -> new ScalableBench().firstStage(3),
                b -> b.put(Bench.L3 + 8, Bench.L2 | 5),
                3,
                IOVA,
                true);
        nested(0x85, "the guest's page read-only in the second stage", Bench.L1 + 8 * 5, 0x155001);
        second(0x86, "second-stage leaf write-only", Bench.L1 + 8, Bench.PAGE | 2);
        first(0x87, "output in the interrupt range", Bench.L1 + 8, 0xfee00000L | 7);
        given(
                0x90,
                "A to be set while PWSNP is clear",
                () -> new ScalableBench().firstStage(3),
                b -> b.pasid(3, ScalableBench.FIRST, 5, Bench.L4),
                3,
                IOVA,
                false);
        given(
                0x90,
                "EA to be set while PWSNP is clear, though A is",
                () -> new ScalableBench().firstStage(3),
                b -> {
                    for (long entry : new long[] {Bench.L4 + 8, Bench.L3 + 8, Bench.L2 + 8, Bench.L1 + 8}) {
                        b.put(entry, b.get(entry) | 0x20);
                    }
                    b.pasid(3, ScalableBench.FIRST, 5, Bench.L4 | 1 << 7);
                },
                3,
                IOVA,
                false);
        return cases.stream();
    }

    @Test
    void aRootTableOutsideMemoryIsReason38() {
        ScalableBench bench = new ScalableBench().secondStage().on();
        bench.unit.writeRegister64(Bench.RTADDR, NOWHERE | 1 << 10);
        bench.bench.command(Bench.TE | Bench.QIE | Bench.SRTP);
        bench.invalidate(1 | 1 << 4, 0);
        assertThat(bench.read(NONE, IOVA)).isEqualTo("fault 0x38");
    }

    @Test
    void flagsThatAreSetAlreadyNeedNoSnoopedWalk() {
        ScalableBench bench = new ScalableBench().firstStage(3);
        for (long entry : new long[] {Bench.L4 + 8, Bench.L3 + 8, Bench.L2 + 8, Bench.L1 + 8}) {
            bench.put(entry, bench.get(entry) | 0x60);
        }
        bench.pasid(3, ScalableBench.FIRST, 5, Bench.L4).on();
        assertThat(bench.write(3, IOVA)).isEqualTo("0x100000");
    }

    @Test
    void whatTheCapabilitiesLackIsReservedOrInvalid() {
        record Lack(int bit, long word0, long word1, long word2, int reason) {}
        Lack[] lacks = {
            new Lack(7, ScalableBench.FIRST, SNOOPED | ScalableBench.PGSNP, Bench.L4, 0x5a),
            new Lack(48, ScalableBench.FIRST, SNOOPED, Bench.L4, 0x5a),
            new Lack(31, ScalableBench.FIRST, SNOOPED, Bench.L4 | 1, 0x5a),
            new Lack(34, ScalableBench.FIRST, SNOOPED, Bench.L4 | 1 << 7, 0x5a),
            new Lack(45, ScalableBench.SECOND | 1 << 9, SNOOPED, 0, 0x5a),
            new Lack(46, ScalableBench.SECOND, SNOOPED, 0, 0x5b),
            new Lack(47, ScalableBench.FIRST, SNOOPED, Bench.L4, 0x5b),
            new Lack(26, ScalableBench.SECOND | 3 << 6, SNOOPED, Bench.L4, 0x5b),
            new Lack(6, ScalableBench.PASS, SNOOPED, 0, 0x5b),
            new Lack(40, ScalableBench.FIRST, SNOOPED, Bench.L4, 0x42), // PASIDE
            new Lack(2, ScalableBench.FIRST, SNOOPED, Bench.L4, 0x42), // DTE
        };
        for (Lack lack : lacks) {
            ScalableBench bench = new ScalableBench(ScalableBench.CAP, ScalableBench.ECAP & ~(1L << lack.bit));
            bench.pasid(3, lack.word0, lack.word1, lack.word2).on();
            assertThat(bench.read(3, 0))
                    .as("without ECAP bit %d", lack.bit)
                    .isEqualTo("fault 0x" + Integer.toHexString(lack.reason));
        }
        ScalableBench fourLevels = new ScalableBench(ScalableBench.CAP & ~(1L << 60), ScalableBench.ECAP);
        assertThat(fourLevels
                        .pasid(3, ScalableBench.FIRST, 5, Bench.L4 | 4)
                        .on()
                        .read(3, 0))
                .isEqualTo("fault 0x5b");
        ScalableBench noRidPasid = new ScalableBench(ScalableBench.CAP, ScalableBench.ECAP & ~(1L << 49));
        noRidPasid.put(Bench.CONTEXT + 8, 1);
        assertThat(noRidPasid.on().read(NONE, 0)).isEqualTo("fault 0x42");
    }

    @Test
    void faultProcessingDisableCountsInEachEntryOnTheWay() {
        long[][] entries = {
            {Bench.CONTEXT, ScalableBench.DIRECTORY | 8 | 3},
            {ScalableBench.DIRECTORY, ScalableBench.PASIDS | 3},
            {ENTRY3, ScalableBench.FIRST | 2}
        };
        for (long[] entry : entries) {
            ScalableBench bench = new ScalableBench().firstStage(3);
            bench.put(Bench.L1 + 8, 0);
            bench.put(entry[0], entry[1]);
            bench.on();
            assertThat(bench.read(3, IOVA)).isEqualTo("fault 0x71");
            assertThat(bench.bench.recordedReasons()).isEmpty();
        }
        ScalableBench unqualified = new ScalableBench();
        unqualified.put(Bench.CONTEXT, NOWHERE | 3);
        assertThat(unqualified.on().read(NONE, IOVA)).isEqualTo("fault 0x50");
        assertThat(unqualified.bench.recordedReasons()).containsExactly(0x50);
    }
}
