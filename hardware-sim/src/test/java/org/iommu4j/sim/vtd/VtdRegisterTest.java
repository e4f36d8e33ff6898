// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What software can read and write of each register, and when commands act. */
class VtdRegisterTest {
    /** Offset, bits, value at power-on, value after all ones were written. */
    @ParameterizedTest
    @CsvSource({
        "00, 32, 10, 10", // VER
        "08, 64, d2078c106f0466, d2078c106f0466", // CAP
        "10, 64, f020df, f020df", // ECAP
        "18, 32, 0, 0", // GCMD
        "1c, 32, 0, 0", // GSTS
        "20, 64, 0, fffffffffffffc00", // RTADDR
        "28, 64, 0, e00000000000ffff", // CCMD
        "30, 32, 0, 0", // reserved
        "34, 32, 0, 0", // FSTS
        "38, 32, 80000000, 80000000", // FECTL
        "3c, 32, 0, ffffffff", // FEDATA
        "40, 32, 0, fffffffc", // FEADDR
        "44, 32, 0, ffffffff", // FEUADDR
        "58, 64, 0, 0", // AFLOG: no advanced fault logging
        "64, 32, 0, 80000000", // PMEN, whose PRS follows in a step
        "68, 32, 0, fff00000", // PLMBASE
        "6c, 32, 0, fff00000", // PLMLIMIT
        "70, 64, 0, fffffffffff00000", // PHMBASE
        "78, 64, 0, fffffffffff00000", // PHMLIMIT
        "80, 64, 0, 0", // IQH
        "88, 64, 0, 7fff0", // IQT
        "90, 64, 0, fffffffffffff807", // IQA
        "9c, 32, 0, 0", // ICS
        "a0, 32, 80000000, 80000000", // IECTL
        "a4, 32, 0, ffffffff", // IEDATA
        "a8, 32, 0, fffffffc", // IEADDR
        "ac, 32, 0, ffffffff", // IEUADDR
        "b0, 64, 0, 0", // IQERCD
        "b8, 64, 0, fffffffffffff80f", // IRTA
        "c0, 64, 0, 0", // PQH: no page requests
        "c8, 64, 0, 0", // PQT
        "d0, 64, 0, 0", // PQA
        "dc, 32, 0, 0", // PRS
        "100, 64, 0, 0", // FRCD
        "108, 64, 0, 0",
        "178, 64, 0, 0",
        "180, 64, 0, 0", // behind the last FRCD
        "200, 64, 0, 0", // IVA
        "208, 64, 0, b003ffff00000000", // IOTLB
        "ff8, 64, 0, 0"
    })
    void keepsWhatItsAccessModesSay(String offsetText, int width, String powerOn, String afterOnes) {
        int offset = Integer.parseInt(offsetText, 16);
        for (boolean halves : new boolean[] {false, true}) {
            Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC);
            assertThat(read(bench, offset, width)).isEqualTo(Long.parseUnsignedLong(powerOn, 16));
            if (width == 32) {
                bench.unit.writeRegister32(offset, -1);
            } else if (halves) {
                bench.unit.writeRegister32(offset, -1);
                bench.unit.writeRegister32(offset + 4, -1);
            } else {
                bench.unit.writeRegister64(offset, -1L);
            }
            assertThat(read(bench, offset, width)).isEqualTo(Long.parseUnsignedLong(afterOnes, 16));
            bench.unit.reset();
            assertThat(read(bench, offset, width)).isEqualTo(Long.parseUnsignedLong(powerOn, 16));
        }
    }

    private static long read(Bench bench, int offset, int width) {
        return width == 64
                ? bench.unit.readRegister64(offset)
                : Integer.toUnsignedLong(bench.unit.readRegister32(offset));
    }

    @Test
    void aWriteOfOneRegisterLeavesItsNeighbour() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC);
        bench.unit.writeRegister32(0x40, 0xfee00000);
        bench.unit.writeRegister32(0x44, 0x1);
        assertThat(bench.unit.readRegister64(0x40)).isEqualTo(0x1_fee0_0000L);
        bench.unit.writeRegister64(0x68, 0x0010_0000_0020_0000L);
        assertThat(bench.unit.readRegister32(0x68)).isEqualTo(0x0020_0000);
        assertThat(bench.unit.readRegister32(0x6c)).isEqualTo(0x0010_0000);
    }

    /** CAP, offset, bits, value after all ones were written. */
    @ParameterizedTest
    @CsvSource({
        "d2078c106f046e, 58, 64, fffffffffffffe00", // AFL: AFLOG
        "d2078c106f0426, 64, 32, 80000000", // PLMR alone
        "d2078c106f0426, 68, 64, fff00000fff00000",
        "d2078c106f0426, 70, 64, 0",
        "d2078c106f0426, 78, 64, 0",
        "d2078c106f0446, 64, 32, 80000000", // PHMR alone
        "d2078c106f0446, 68, 64, 0",
        "d2078c106f0446, 70, 64, fffffffffff00000",
        "d2078c106f0406, 64, 32, 0", // neither
        "d2078c106f0406, 68, 64, 0",
        "d2078c106f0406, 78, 64, 0"
    })
    void whatCapDoesNotHaveIsReadOnly(String cap, String offsetText, int width, String afterOnes) {
        int offset = Integer.parseInt(offsetText, 16);
        Bench bench = new Bench(Long.parseUnsignedLong(cap, 16), Bench.ECAP_SC);
        bench.unit.writeRegister32(offset, -1);
        if (width == 64) {
            bench.unit.writeRegister32(offset + 4, -1);
        }
        assertThat(read(bench, offset, width)).isEqualTo(Long.parseUnsignedLong(afterOnes, 16));
    }

    /** The unit of a GM45: neither queued invalidation nor interrupt remapping. */
    @ParameterizedTest
    @ValueSource(ints = {0x80, 0x88, 0x90, 0x98, 0xa0, 0xa8, 0xb0, 0xb8})
    void aUnitWithoutQueueAndInterruptRemappingHasNoneOfTheirRegisters(int offset) {
        Bench bench = new Bench(0xc9008020e30272L, 0x1000);
        assertThat(bench.unit.readRegister64(offset)).as("at power-on").isZero();
        bench.unit.writeRegister64(offset, -1L);
        bench.unit.writeRegister32(offset, -1);
        bench.unit.writeRegister32(offset + 4, -1);
        assertThat(bench.unit.readRegister64(offset)).isZero();
        assertThat(bench.unit.readRegister32(offset)).isZero();
        assertThat(bench.unit.readRegister32(offset + 4)).isZero();
    }

    @Test
    void aUnitWithAQueueAloneHasNoInterruptRemappingTable() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC & ~0x8L);
        bench.unit.writeRegister64(0xb8, -1L);
        assertThat(bench.unit.readRegister64(0xb8)).isZero();
        bench.unit.writeRegister64(Bench.IQA, Bench.QUEUE);
        assertThat(bench.unit.readRegister64(Bench.IQA)).isEqualTo(Bench.QUEUE);
    }

    @Test
    void globalCommandsActInAStepAndStatusMirrorsThem() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC);
        bench.unit.writeRegister32(Bench.GCMD, Bench.QIE);
        assertThat(bench.unit.readRegister32(Bench.GSTS)).isZero();
        bench.run();
        assertThat(bench.unit.readRegister32(Bench.GSTS)).isEqualTo(Bench.QIE);
        bench.command(Bench.QIE | Bench.SRTP);
        assertThat(bench.unit.readRegister32(Bench.GSTS)).isEqualTo(Bench.QIE | Bench.SRTP);
        bench.command(Bench.QIE | Bench.TE);
        assertThat(bench.unit.readRegister32(Bench.GSTS))
                .as("one-shot status stays")
                .isEqualTo(Bench.TE | Bench.SRTP | Bench.QIE);
        bench.unit.writeRegister32(Bench.GCMD, Bench.QIE | Bench.TE | Bench.SRTP);
        assertThat(bench.unit.readRegister32(Bench.GSTS)).as("not yet again").isEqualTo(Bench.TE | Bench.QIE);
        bench.run();
        assertThat(bench.unit.readRegister32(Bench.GSTS)).isEqualTo(Bench.TE | Bench.SRTP | Bench.QIE);
        bench.command(0);
        assertThat(bench.unit.readRegister32(Bench.GSTS)).isEqualTo(Bench.SRTP);
    }

    @Test
    void interruptRemappingIsAcknowledgedWhereThereIsAny() {
        int commands = 1 << 24 | 1 << 25 | 1 << 23 | 1 << 27;
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC);
        bench.command(commands);
        assertThat(bench.unit.readRegister32(Bench.GSTS)).isEqualTo(1 << 24 | 1 << 25 | 1 << 23);
        Bench without = new Bench(Bench.CAP, Bench.ECAP_SC & ~0xaL);
        without.command(commands | Bench.QIE);
        assertThat(without.unit.readRegister32(Bench.GSTS)).isZero();
    }

    @Test
    void theRootTableTakesEffectOnlyWhenItsPointerIsSet() {
        Bench bench = Bench.withSnoopControl();
        assertThat(bench.readText(Bench.IOVA)).isEqualTo("0x100000");
        bench.unit.writeRegister64(Bench.RTADDR, 0x9000);
        bench.invalidate(0x11, 0);
        bench.invalidate(0x12, 0);
        assertThat(bench.readText(Bench.IOVA)).isEqualTo("0x100000");
        bench.command(Bench.TE | Bench.QIE);
        bench.invalidate(0x11, 0);
        assertThat(bench.readText(Bench.IOVA)).isEqualTo("0x100000");
        bench.command(Bench.TE | Bench.QIE | Bench.SRTP);
        bench.invalidate(0x11, 0);
        assertThat(bench.readText(Bench.IOVA)).isEqualTo("fault 0x1");
    }

    @Test
    void accessesOutsideTheWindowOrMisalignedAreBugs() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC);
        assertThatThrownBy(() -> bench.unit.readRegister32(0x1000))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("dmar0")
                .hasMessageContaining("0x1000");
        assertThatThrownBy(() -> bench.unit.writeRegister64(0x84, 0)).isInstanceOf(IllegalStateException.class);
    }
}
