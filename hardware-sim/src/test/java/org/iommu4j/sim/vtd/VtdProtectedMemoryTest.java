// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Regions that no device reaches while PMEN says so, whether or not it is translated. */
class VtdProtectedMemoryTest {
    private static final int EPM = 1 << 31;
    private static final String BLOCKED = "fault 0xff";

    private static Bench off() {
        return new Bench(Bench.CAP, Bench.ECAP_SC);
    }

    /** Protects 1M blocks by their first and last one. */
    private static Bench protect(Bench bench, int low, int lowLast, long high, long highLast) {
        bench.unit.writeRegister32(Bench.PLMBASE, low << 20);
        bench.unit.writeRegister32(Bench.PLMLIMIT, lowLast << 20);
        bench.unit.writeRegister64(Bench.PHMBASE, high << 20);
        bench.unit.writeRegister64(Bench.PHMLIMIT, highLast << 20);
        pmen(bench, EPM);
        return bench;
    }

    private static void pmen(Bench bench, int value) {
        bench.unit.writeRegister32(Bench.PMEN, value);
        bench.run();
    }

    private static void assertNothingRecorded(Bench bench) {
        assertThat(bench.fsts()).isZero();
        assertThat(bench.recordedReasons()).isEmpty();
    }

    @Test
    void statusFollowsInAStepAndOnlyThenIsMemoryProtected() {
        Bench bench = off();
        bench.unit.writeRegister32(Bench.PLMLIMIT, 1 << 20);
        bench.unit.writeRegister32(Bench.PMEN, EPM);
        assertThat(bench.unit.readRegister32(Bench.PMEN)).isEqualTo(EPM);
        assertThat(bench.writeText(0x1000)).isEqualTo("0x1000");
        bench.run();
        assertThat(bench.unit.readRegister32(Bench.PMEN)).isEqualTo(EPM | 1);
        assertThat(bench.writeText(0x1000)).isEqualTo(BLOCKED);
        bench.unit.writeRegister32(Bench.PMEN, 0);
        assertThat(bench.unit.readRegister32(Bench.PMEN)).isEqualTo(1);
        assertThat(bench.writeText(0x1000)).isEqualTo(BLOCKED);
        bench.run();
        assertThat(bench.unit.readRegister32(Bench.PMEN)).isZero();
        assertThat(bench.writeText(0x1000)).isEqualTo("0x1000");
        pmen(bench, EPM);
        bench.unit.reset();
        assertThat(bench.unit.readRegister32(Bench.PMEN)).isZero();
        assertThat(bench.writeText(0x1000)).isEqualTo("0x1000");
    }

    @ParameterizedTest
    @CsvSource({
        "1ffff8, open",
        "200000, blocked",
        "3ffff8, blocked",
        "400000, open",
        "ffffff8, open",
        "10000000, blocked", // also below 4G
        "1234567f8, blocked",
        "fffffffff8, blocked",
        "10000000000, open"
    })
    void aRegionReachesFromItsBaseToTheEndOfItsLimit(String address, String then) {
        Bench bench = protect(off(), 2, 3, 0x100, 0xfffff);
        long at = Long.parseUnsignedLong(address, 16);
        assertThat(bench.readText(at)).isEqualTo(then.equals("open") ? "0x" + address : BLOCKED);
        assertThat(bench.writeText(at)).isEqualTo(then.equals("open") ? "0x" + address : BLOCKED);
        assertNothingRecorded(bench);
    }

    @Test
    void aLimitBelowItsBaseProtectsNothing() {
        Bench bench = protect(off(), 2, 1, 9, 8);
        for (long address : new long[] {0, 0x10_0000, 0x20_0000, 0x80_0000, 0x90_0000}) {
            assertThat(bench.read(address)).isEqualTo(address);
        }
    }

    @Test
    void aRegionThatTheUnitLacksIsOpen() {
        Bench low = protect(new Bench(Bench.CAP & ~0x40L, Bench.ECAP_SC), 2, 2, 4, 4);
        assertThat(low.readText(0x20_0000)).isEqualTo(BLOCKED);
        assertThat(low.read(0x40_0000)).isEqualTo(0x40_0000);
        assertThat(low.read(0)).isZero();
        Bench high = protect(new Bench(Bench.CAP & ~0x20L, Bench.ECAP_SC), 2, 2, 4, 4);
        assertThat(high.read(0x20_0000)).isEqualTo(0x20_0000);
        assertThat(high.readText(0x40_0000)).isEqualTo(BLOCKED);
    }

    @Test
    void whereADeviceIsTranslatedToCountsAndTablesInsideAreStillWalked() {
        Bench bench = Bench.withSnoopControl();
        protect(bench, 0, 0, 1, 0); // the tables
        assertThat(bench.readText(Bench.IOVA)).isEqualTo("0x100000");
        bench.put(Bench.L1 + 16, 0x4003);
        assertThat(bench.readText(Bench.IOVA + 0x1000)).isEqualTo(BLOCKED);
        assertNothingRecorded(bench);
        assertThat(bench.readText(0x5000)).as("an ordinary refusal").isEqualTo("fault 0x6");
        assertThat(bench.recordedReasons()).containsExactly(6);
        // Interrupts go on.
        assertThat(bench.writeText(0xfee00000L)).isEqualTo("0xfee00000");
        pmen(bench, 0);
        assertThat(bench.readText(Bench.IOVA + 0x1000)).isEqualTo("0x4000");
        bench.command(Bench.QIE);
        assertThat(bench.readText(0x4000)).isEqualTo("0x4000");
    }

    @Test
    void neitherPassThroughNorATranslatedAddressGoesAroundIt() {
        Bench bench = Bench.withSnoopControl();
        bench.put(Bench.CONTEXT, 9);
        protect(bench, 2, 2, 1, 0);
        assertThat(bench.readText(0x20_0000)).isEqualTo(BLOCKED);
        assertThat(bench.readText(0x30_0000)).isEqualTo("0x300000");

        bench.put(Bench.CONTEXT, Bench.L4 | 5);
        bench.put(Bench.L1 + 8, 0x20_0003);
        bench.invalidate(0x11, 0);
        bench.invalidate(0x12, 0);
        assertThat(bench.unit.requestTranslation(Bench.DEVICE, -1, Bench.IOVA, RequestFlags.WRITE))
                .as("asking is no access")
                .isEqualTo(0x20_0000);
        assertThat(Translation.toString(bench.unit.passTranslated(Bench.DEVICE, -1, 0x20_0000, RequestFlags.WRITE)))
                .isEqualTo(BLOCKED);
        assertThat(bench.unit.passTranslated(Bench.DEVICE, -1, 0x30_0000, RequestFlags.WRITE))
                .isEqualTo(0x30_0000);
        assertNothingRecorded(bench);
    }

    @Test
    void scalableModeIsNoWayAroundIt() {
        ScalableBench bench = new ScalableBench().firstStage(3).on();
        protect(bench.bench, 1, 1, 1, 0);
        assertThat(bench.write(3, Bench.IOVA)).isEqualTo(BLOCKED);
        assertNothingRecorded(bench.bench);
        pmen(bench.bench, 0);
        assertThat(bench.write(3, Bench.IOVA)).isEqualTo("0x100000");
    }
}
