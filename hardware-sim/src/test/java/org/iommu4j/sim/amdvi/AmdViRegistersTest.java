// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AmdViRegistersTest {
    private static final long EFR = 0x940;
    private static final long EFR2 = 0x20;

    private final TranslationUnit unit = new AmdViUnitProvider()
            .create(AmdViUnitProvider.unit("ivhd0", 0xfeb80000L, EFR, EFR2), new TestBed.FlatFabric());

    @ParameterizedTest
    @CsvSource({
        // offset, at power-on, after writing all ones to a unit that is off
        "0x0000, 0x0, 0x000ffffffffff1ff",
        "0x0008, 0x0800000000000000, 0x0f0ffffffffff000",
        "0x0010, 0x0800000000000000, 0x0f0ffffffffff000",
        "0x0018, 0x0, -0x0202100000000001", // 0xfdfdefffffffffff
        "0x0020, 0x0, 0x000ffffffffff003",
        "0x0028, 0x0, 0x000ffffffffff000",
        "0x0030, 0x940, 0x940",
        "0x0038, 0x0800000000000000, 0x0f0ffffffffff000",
        "0x0050, 0x0, 0x0",
        "0x01a0, 0x20, 0x20",
        "0x0100, 0x0, 0x0",
        "0x2020, 0x0, 0x0",
        "0x2080, 0x0, 0x1f",
        "0x3ff8, 0x0, 0x0"
    })
    void aRegisterTakesItsWritableBits(int offset, long powerOn, long after) {
        assertThat(unit.readRegister64(offset)).isEqualTo(powerOn);
        unit.writeRegister64(offset, -1L);
        assertThat(unit.readRegister64(offset)).isEqualTo(after);

        unit.reset();
        assertThat(unit.readRegister64(offset)).isEqualTo(powerOn);
    }

    @ParameterizedTest
    @CsvSource({"0x2000, 0xff0", "0x2008, 0xff0", "0x2010, 0xff0", "0x2018, 0xff0", "0x2030, 0xff0", "0x2038, 0xff0"})
    void aPointerStaysInItsRing(int offset, long last) {
        unit.writeRegister64(offset, last | 0xf);
        assertThat(unit.readRegister64(offset)).isEqualTo(last);
        unit.writeRegister64(offset, last + 16);
        assertThat(unit.readRegister64(offset)).as("outside").isEqualTo(last);
    }

    @Test
    void writingABaseResetsItsPointers() {
        for (int pointer = 0x2000; pointer <= 0x2018; pointer += 8) {
            unit.writeRegister64(pointer, 0x40);
        }
        unit.writeRegister64(0x8, 0x0800000000200000L);
        assertThat(unit.readRegister64(0x2000)).isZero();
        assertThat(unit.readRegister64(0x2008)).isZero();
        assertThat(unit.readRegister64(0x2010)).isEqualTo(0x40);

        unit.writeRegister64(0x10, 0x0800000000300000L);
        assertThat(unit.readRegister64(0x2010)).isZero();
        assertThat(unit.readRegister64(0x2018)).isZero();
    }

    @Test
    void whatTheUnitOwnsCantBeMovedWhileItRuns() {
        unit.writeRegister64(0x8, 0x0800000000200000L);
        unit.writeRegister64(0x10, 0x0800000000300000L);
        unit.writeRegister64(0x18, 0x1005);
        assertThat(unit.readRegister64(0x2020)).isEqualTo(0x18);

        unit.writeRegister64(0x8, 0x0800000000700000L);
        unit.writeRegister64(0x10, 0x0800000000800000L);
        unit.writeRegister64(0x2000, 0x40);
        unit.writeRegister64(0x2018, 0x40);

        assertThat(unit.readRegister64(0x8)).isEqualTo(0x0800000000200000L);
        assertThat(unit.readRegister64(0x10)).isEqualTo(0x0800000000300000L);
        assertThat(unit.readRegister64(0x2000)).isZero();
        assertThat(unit.readRegister64(0x2018)).isZero();
    }

    @Test
    void theStatusBitsOfTheRingsAreReadOnly() {
        unit.writeRegister64(0x18, 0x1005);
        unit.writeRegister64(0x2020, -1L);

        assertThat(unit.readRegister64(0x2020)).isEqualTo(0x18);
    }

    @Test
    void aRegisterCanBeAccessedInHalves() {
        unit.writeRegister32(0x8, 0x00200000);
        unit.writeRegister32(0xc, 0x09000000);

        assertThat(unit.readRegister64(0x8)).isEqualTo(0x0900000000200000L);
        assertThat(unit.readRegister32(0x8)).isEqualTo(0x00200000);
        assertThat(unit.readRegister32(0xc)).isEqualTo(0x09000000);
        assertThat(unit.readRegister32(0x30)).isEqualTo(0x940);
    }

    @Test
    void writingTheUpperHalfClearsNothingInTheLower() {
        TestBed bed = new TestBed();
        bed.command(0x1000000000000002L, 0); // sets ComWaitInt
        bed.unit.writeRegister32(0x2024, -1);
        assertThat(bed.unit.readRegister32(0x2020)).isEqualTo(0x1c);
        bed.unit.writeRegister32(0x2020, 4);
        assertThat(bed.unit.readRegister32(0x2020)).isEqualTo(0x18);
    }

    @Test
    void aMisalignedAccessIsABug() {
        assertThatThrownBy(() -> unit.readRegister64(0x2024))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("access of 8 bytes at register offset 0x2024 is not aligned");
        assertThatThrownBy(() -> unit.writeRegister32(0x2022, 0)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void aUnitWithoutFeaturesIsRefused() {
        AmdViUnitProvider provider = new AmdViUnitProvider();
        TranslationUnitSpec none = new TranslationUnitSpec("amdvi", "ivhd0", 0, 0xfeb80000L, 0x4000, Map.of());
        assertThatThrownBy(() -> provider.create(none, new TestBed.FlatFabric()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("needs a value for register EFR");
    }
}
