// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.sim.spi.RequestFlags;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Second-stage tables of 3 to 5 levels, leaves of all sizes, permissions, snoop control, pass-through. */
class VtdTranslationTest {
    private static final long IOVA = Bench.IOVA;

    @Test
    void addressesPassWhileTranslationIsOff() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC).tables();
        assertThat(bench.readText(0x123456)).isEqualTo("0x123456");
        assertThat(bench.readText(0xffff_0000_0000_0123L)).isEqualTo("0xfffffffffffff");
    }

    @ParameterizedTest
    @CsvSource({"1, 4000", "2, 3000", "3, 7000"})
    void aWalkStartsAtTheLevelThatTheContextEntryNames(int aw, String table) {
        Bench bench = new Bench(Bench.CAP_ALL_LEVELS, Bench.ECAP_SC).tables();
        bench.put(Bench.L5 + 8, Bench.L4 | 3);
        bench.put(Bench.CONTEXT, Long.parseLong(table, 16) | 1);
        bench.put(Bench.CONTEXT + 8, 0x0500 | aw);
        bench.on();
        long top = aw == 3 ? (1L << 48) | IOVA : aw == 2 ? IOVA : IOVA & ((1L << 39) - 1);

        assertThat(bench.readText(top + 0xabc)).isEqualTo("0x100abc");
        assertThat(bench.readText(top + 0xabd)).isEqualTo("0x100abd");
        assertThat(bench.readText(top + 0x1000)).isEqualTo("fault 0x6");
        assertThat(bench.readText(top | (1L << (30 + 9 * aw)))).isEqualTo("fault 0x4");
    }

    @ParameterizedTest
    @ValueSource(longs = {Bench.ECAP_SC, Bench.ECAP_NOSC})
    void leavesOfEachSizeKeepTheirOffset(long ecap) {
        Bench bench = new Bench(Bench.CAP, ecap).tables();
        bench.put(Bench.L2 + 16, 0x600000 | 0x83);
        bench.put(Bench.L3 + 16, 0x1_4000_0000L | 0x83);
        bench.on();
        long twoMeg = 1L << 39 | 1L << 30 | 2L << 21;
        long oneGig = 1L << 39 | 2L << 30;
        for (int round = 0; round < 2; round++) {
            assertThat(bench.readText(IOVA | 0xfff)).isEqualTo("0x100fff");
            assertThat(bench.readText(twoMeg | 0x1abcde)).isEqualTo("0x7abcde");
            assertThat(bench.writeText(twoMeg)).isEqualTo("0x600000");
            assertThat(bench.readText(oneGig | 0x3abcdef0)).isEqualTo("0x17abcdef0");
            assertThat(bench.writeText(oneGig)).isEqualTo("0x140000000");
        }
    }

    @ParameterizedTest
    @CsvSource({"3, 3, 3, 3, RW", "1, 3, 3, 3, R", "3, 2, 3, 3, W", "3, 3, 1, 3, R", "3, 3, 3, 2, W", "1, 3, 2, 3, none"
    })
    void permissionsAreTheLeastOnTheWay(long l4, long l3, long l2, long l1, String expected) {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC).tables();
        bench.put(Bench.L4 + 8, Bench.L3 | l4);
        bench.put(Bench.L3 + 8, Bench.L2 | l3);
        bench.put(Bench.L2 + 8, Bench.L1 | l2);
        bench.put(Bench.L1 + 8, Bench.PAGE | l1);
        bench.on();
        for (int round = 0; round < 2; round++) {
            String rights = (bench.readText(IOVA).equals("0x100000") ? "R" : "")
                    + (bench.writeText(IOVA).equals("0x100000") ? "W" : "");
            assertThat(rights.isEmpty() ? "none" : rights).isEqualTo(expected);
        }
    }

    /**
     * The first page's walk leaves the lowest table in the paging-structure cache, from which the second one's begins.
     */
    @ParameterizedTest
    @CsvSource({
        "3, 3, 3, RW",
        "1, 3, 3, R",
        "3, 1, 3, R",
        "3, 3, 1, R",
        "2, 3, 3, W",
        "3, 2, 3, W",
        "3, 3, 2, W",
        "1, 3, 2, none"
    })
    void aPageBesideOneThatWasWalkedToHasThePermissionsOfAllItsTables(long l4, long l3, long l2, String expected) {
        for (boolean large : new boolean[] {false, true}) {
            Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC).tables();
            bench.put(Bench.L4 + 8, Bench.L3 | l4);
            bench.put(Bench.L3 + 8, Bench.L2 | l3);
            bench.put(Bench.L2 + 8, Bench.L1 | l2);
            bench.put(Bench.L1 + 8, Bench.PAGE | 3);
            bench.put(Bench.L1 + 16, Bench.PAGE | 3);
            if (large) {
                bench.put(Bench.L3 + 8, Bench.L2 | (l3 & l2));
                bench.put(Bench.L2 + 8, 0x600000 | 0x83);
                bench.put(Bench.L2 + 16, 0x800000 | 0x83);
            }
            bench.on();
            bench.readText(IOVA);
            bench.writeText(IOVA);
            long beside = IOVA + (large ? 1L << 21 : 0x1000);
            String rights = (bench.readText(beside).startsWith("0x") ? "R" : "")
                    + (bench.writeText(beside).startsWith("0x") ? "W" : "");
            assertThat(rights.isEmpty() ? "none" : rights)
                    .as(large ? "2 MiB" : "4 KiB")
                    .isEqualTo(expected);
        }
    }

    @Test
    void ignoredBitsOfEntriesChangeNothing() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_NOSC).tables();
        long ignored = 0xbff0_0000_0000_0000L | 0x77c;
        bench.put(Bench.L4 + 8, ignored | Bench.L3 | 3);
        bench.put(Bench.L1 + 8, ignored | 0x80 | Bench.PAGE | 3);
        bench.put(Bench.CONTEXT + 8, 0x0502 | 0x78);
        bench.on();
        assertThat(bench.readText(IOVA)).isEqualTo("0x100000");
    }

    @Test
    void snoopBitInALeafOfAnySizeForcesSnoopingWithSnoopControl() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC).tables();
        bench.put(Bench.L1 + 8, Bench.PAGE | 0x803);
        bench.put(Bench.L1 + 16, Bench.PAGE | 3);
        bench.put(Bench.L2 + 16, 0x600000 | 0x883);
        bench.put(Bench.L3 + 16, 0x883);
        bench.on();
        for (int round = 0; round < 2; round++) {
            assertThat(bench.readText(IOVA)).isEqualTo("0x100000 snoop forced");
            assertThat(bench.writeText(IOVA)).isEqualTo("0x100000 snoop forced");
            assertThat(bench.readText(IOVA + 0x1000)).isEqualTo("0x100000");
            assertThat(bench.readText(1L << 39 | 1L << 30 | 2L << 21)).isEqualTo("0x600000 snoop forced");
            assertThat(bench.readText(1L << 39 | 2L << 30)).isEqualTo("0x0 snoop forced");
        }
    }

    @Test
    void snoopBitInATableEntryIsReservedEvenWithSnoopControl() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC).tables();
        bench.put(Bench.L2 + 8, Bench.L1 | 0x803);
        bench.on();
        assertThat(bench.readText(IOVA)).isEqualTo("fault 0xc");
    }

    @ParameterizedTest
    @ValueSource(longs = {0x600000 | 0x883, 0x200000 | 0x881})
    void snoopBitInALargeLeafIsReservedWithoutSnoopControl(long leaf) {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_NOSC).tables();
        bench.put(Bench.L2 + 8, leaf);
        bench.on();
        assertThat(bench.readText(IOVA)).isEqualTo("fault 0xc");
    }

    @Test
    void passThroughLeavesTheAddressAndNeverForcesSnooping() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC).tables();
        bench.put(Bench.CONTEXT, 0x9);
        bench.on();
        assertThat(bench.readText(0xabcdef)).isEqualTo("0xabcdef");
        assertThat(bench.writeText(0xabcdef)).isEqualTo("0xabcdef");
        assertThat(bench.readText(1L << 48)).isEqualTo("fault 0x4");
    }

    @Test
    void passThroughNeedsItsCapabilityAndTheWidestTables() {
        Bench without = new Bench(Bench.CAP, Bench.ECAP_SC & ~0x40).tables();
        without.put(Bench.CONTEXT, 0x9);
        assertThat(without.on().readText(0)).isEqualTo("fault 0x3");

        Bench narrow = new Bench(Bench.CAP_ALL_LEVELS, Bench.ECAP_SC).tables();
        narrow.put(Bench.CONTEXT, 0x9);
        assertThat(narrow.on().readText(0)).isEqualTo("fault 0x3");
    }

    @Test
    void aContextThatAllowsADeviceTlbTranslatesLikeAnyOther() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC).tables();
        bench.put(Bench.CONTEXT, Bench.L4 | 5);
        assertThat(bench.on().readText(IOVA)).isEqualTo("0x100000");
    }

    @Test
    void theInterruptRangeIsNotTranslated() {
        Bench bench = Bench.withSnoopControl();
        assertThat(bench.writeText(0xfee01234L)).isEqualTo("0xfee01234");
        assertThat(bench.recordedReasons()).isEmpty();
    }

    @Test
    void devicesHaveTheirOwnContexts() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC).tables();
        bench.put(Bench.CONTEXTS + 0x10, 0x9);
        bench.put(Bench.CONTEXTS + 0x18, 0x0702);
        bench.on();
        assertThat(bench.readText(IOVA)).isEqualTo("0x100000");
        assertThat(bench.unit.translate(Bench.DEVICE + 1, -1, 0x5000, RequestFlags.WRITE))
                .isEqualTo(0x5000);
        assertThat(bench.readText(IOVA)).isEqualTo("0x100000");
    }
}
