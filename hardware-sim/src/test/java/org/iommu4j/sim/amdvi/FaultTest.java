// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.sim.amdvi.TestBed.DEVICE;
import static org.iommu4j.sim.amdvi.TestBed.IR;
import static org.iommu4j.sim.amdvi.TestBed.IR_IW;
import static org.iommu4j.sim.amdvi.TestBed.ROOT;

import java.util.stream.Stream;
import org.iommu4j.sim.amdvi.TestBed.LoggedEvent;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class FaultTest {
    private static final long ENTRY = IR_IW | ROOT | 3 << 9 | 3;

    private final TestBed bed = new TestBed();

    /** Cases in which the device's entry is to blame; the events are of a write to 0x5008. */
    static Stream<Arguments> entries() {
        return Stream.of(
                Arguments.of("bit 2", ENTRY | 0x4, 5L, 0x10a0000000000110L),
                Arguments.of("bit 6", ENTRY | 0x40, 5L, 0x10a0000000000110L),
                Arguments.of("host access and dirty bits", ENTRY | 0x80, 5L, 0x10a0000000000110L),
                Arguments.of("guest translation", ENTRY | 1L << 55, 5L, 0x10a0000000000110L),
                Arguments.of("bit 63", ENTRY | 1L << 63, 5L, 0x10a0000000000110L),
                Arguments.of("bit 106", ENTRY, 1L << 42 | 5, 0x10a0000000000110L),
                Arguments.of("Mode 7", ENTRY | 7 << 9, 5L, 0x1020000000000110L),
                Arguments.of("TV is 0", ENTRY & ~2L, 5L, 0x2020000500000110L),
                Arguments.of("IW is 0", ENTRY & ~TestBed.IW, 5L, 0x2070000500000110L),
                Arguments.of("blocked", 3L, 9L, 0x2070000900000110L));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("entries")
    void aBadDeviceTableEntryIsLogged(String name, long word0, long word1, long event) {
        bed.entry(DEVICE, word0, word1);
        bed.map(0x5000, 3, 1, IR_IW | 0x6000 | 1);

        long answer = bed.write(0x5008);

        assertThat(Translation.isFault(answer)).isTrue();
        assertThat(Translation.faultCode(answer)).isEqualTo((int) (event >>> 60));
        assertThat(bed.events()).containsExactly(new LoggedEvent(event, 0x5008));
    }

    @Test
    void whereTheEntryIsToBlameARequestsPasidIsLoggedToo() {
        bed.entry(DEVICE, ENTRY | 0x4, 5);

        assertThat(Translation.faultCode(bed.unit.translate(DEVICE, 0xabcde, 0x5008, RequestFlags.WRITE)))
                .isEqualTo(1);
        // RZ, RW, GN, PASID in two parts
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x10a1bcde000a0110L, 0x5008));
    }

    @Test
    void moreLevelsThanTheUnitHasAreIllegal() {
        TestBed fourLevels = new TestBed(0x140); // HATS 0
        fourLevels.attach(DEVICE, 5);
        assertThat(Translation.faultCode(fourLevels.read(0x5000))).isEqualTo(1);
        assertThat(fourLevels.events()).containsExactly(new LoggedEvent(0x1000000000000110L, 0x5000));

        fourLevels.attach(DEVICE, 4);
        fourLevels.map(0x5000, 4, 1, IR_IW | 0x6000 | 1);
        assertThat(fourLevels.read(0x5000)).isEqualTo(Translation.to(0x6000, false));
    }

    @Test
    void aUnitWithoutHostTranslationTakesNoHostTables() {
        TestBed none = new TestBed(0xd40); // HATS 3
        none.attach(DEVICE, 3);
        assertThat(Translation.faultCode(none.read(0x5000))).isEqualTo(1);

        none.entry(DEVICE, IR_IW | 3, 5);
        assertThat(none.read(0x5000)).isEqualTo(Translation.to(0x5000, false));
    }

    @ParameterizedTest
    @CsvSource({"180", "181", "192", "206", "240", "245"})
    void reservedBitsOfTheUpperHalfOfAnEntryAreIllegalToo(int bit) {
        bed.attach(DEVICE, 3);
        bed.memory.store(TestBed.DEVICE_TABLE + DEVICE * 32L + bit / 64 * 8L, 1L << bit % 64);

        assertThat(Translation.faultCode(bed.read(0x5000))).isEqualTo(1);
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x1080000000000110L, 0x5000));
    }

    /** Cases in which the tables are to blame; the events are of a read of 0x40005008. */
    static Stream<Arguments> tables() {
        long page = IR_IW | 0x6000 | 1;
        return Stream.of(
                Arguments.of("page not present", 1, page & ~1L, 0x2000000500000110L),
                Arguments.of("directory not present", 2, 0L, 0x2000000500000110L),
                Arguments.of("root entry not present", 3, IR_IW | 0x401000L | 2 << 9, 0x2000000500000110L),
                Arguments.of("page without IR", 1, page & ~IR, 0x2050000500000110L),
                Arguments.of("bit 52 of a page", 1, page | 1L << 52, 0x2090000500000110L),
                Arguments.of("bit 58 of a page", 1, page | 1L << 58, 0x2090000500000110L),
                Arguments.of("bit 58 of an encoded page", 1, page | 7 << 9 | 1L << 58, 0x2090000500000110L),
                Arguments.of(
                        "bit 52 of a directory", 2, IR_IW | 0x402000L | 1 << 9 | 1L << 52 | 1, 0x2090000500000110L),
                Arguments.of("FC in a directory", 2, IR_IW | 0x402000L | 1 << 9 | 1L << 60 | 1, 0x2090000500000110L),
                Arguments.of("directory of its own level", 2, IR_IW | 0x402000L | 2 << 9 | 1, 0x2010000500000110L),
                Arguments.of("directory of a higher level", 2, IR_IW | 0x402000L | 6 << 9 | 1, 0x2010000500000110L),
                Arguments.of("lowest table pointing down", 1, IR_IW | 0x402000L | 1 << 9 | 1, 0x2010000500000110L),
                Arguments.of("encoded 2M in a lowest table", 1, IR_IW | 0xff000L | 7 << 9 | 1, 0x2010000500000110L),
                Arguments.of("encoded 2M in a level 2 table", 2, IR_IW | 0xff000L | 7 << 9 | 1, 0x2010000500000110L),
                Arguments.of("encoded 1G in a level 2 table", 2, IR_IW | 0x1ffff000L | 7 << 9 | 1, 0x2010000500000110L),
                Arguments.of("encoded 1G in a level 3 table", 3, IR_IW | 0x1ffff000L | 7 << 9 | 1, 0x2010000500000110L),
                Arguments.of("encoded 8K in a level 2 table", 2, IR_IW | 7 << 9 | 1, 0x2010000500000110L),
                Arguments.of("no size", 3, IR_IW | 0xffffffffff000L | 7 << 9 | 1, 0x2010000500000110L),
                Arguments.of("skip over address bits", 3, IR_IW | 0x402000L | 1 << 9 | 1, 0x2010000500000110L));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("tables")
    void aBadTableEntryIsLogged(String name, int level, long entry, long event) {
        long iova = 0x40205008L;
        bed.attach(DEVICE, 3);
        bed.map(iova, 3, level, entry);

        assertThat(Translation.faultCode(bed.read(iova))).isEqualTo(2);
        assertThat(bed.events()).containsExactly(new LoggedEvent(event, iova));
    }

    @Test
    void anAddressBeyondTheModeIsAFault() {
        bed.attach(DEVICE, 3);
        bed.map(0x5000, 3, 1, IR_IW | 0x6000 | 1);
        assertThat(Translation.isFault(bed.read(0x5000))).isFalse();

        assertThat(Translation.faultCode(bed.read(0x8000005000L))).isEqualTo(2);
        assertThat(Translation.faultCode(bed.read(0x8000000000005000L))).isEqualTo(2);
        assertThat(bed.events())
                .containsExactly(
                        new LoggedEvent(0x2010000500000110L, 0x8000005000L),
                        new LoggedEvent(0x2010000500000110L, 0x8000000000005000L));
    }

    @Test
    void aRequesterBehindTheDeviceTableFaults() {
        assertThat(Translation.faultCode(
                        bed.unit.translate(0x1000, TranslationUnit.NO_PASID, 0x5000, RequestFlags.READ)))
                .isEqualTo(2);
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x2000000000001000L, 0x5000));
        bed.unit.translate(0x1000, 0xabcde, 0x5000, RequestFlags.READ);
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x2001bcde000a1000L, 0x5000));
    }

    @Test
    void aRequestWithAPasidFaultsForTheUnitHasNoGuestTables() {
        bed.attach(DEVICE, 3);

        assertThat(Translation.faultCode(bed.unit.translate(DEVICE, 0xabcde, 0x5000, RequestFlags.WRITE)))
                .isEqualTo(2);
        // GN, RW, PASID in two parts
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x2021bcde000a0110L, 0x5000));
    }

    @Test
    void aDeviceTableThatIsNotMemoryIsAHardwareError() {
        bed.unit.writeRegister64(0x0, TestBed.MEMORY);

        assertThat(Translation.faultCode(bed.unit.translate(2, TranslationUnit.NO_PASID, 0x5000, RequestFlags.WRITE)))
                .isEqualTo(3);
        // RW, Type 1 (master abort)
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x3220000000000002L, TestBed.MEMORY + 64));
    }

    @Test
    void aPageTableThatIsNotMemoryIsAHardwareErrorAndShownInRegisters() {
        bed.attach(DEVICE, 2);
        bed.memory.store(ROOT, IR_IW | TestBed.MEMORY | 1 << 9 | 1);

        assertThat(Translation.faultCode(bed.read(0x3000))).isEqualTo(4);
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x4200000500000110L, TestBed.MEMORY + 24));
        assertThat(bed.unit.readRegister64(0x40)).isEqualTo(0x4200000500000110L);
        assertThat(bed.unit.readRegister64(0x48)).isEqualTo(TestBed.MEMORY + 24);
        assertThat(bed.unit.readRegister64(0x50)).isEqualTo(1);

        bed.read(0x3000);
        assertThat(bed.unit.readRegister64(0x50)).as("overflow").isEqualTo(3);
        bed.unit.writeRegister64(0x50, 3);
        assertThat(bed.unit.readRegister64(0x50)).isZero();
    }

    @Test
    void aPoisonedTableIsAHardwareErrorAsOneThatIsNotMemory() {
        bed.attach(DEVICE, 1);
        bed.map(0x3000, 1, 1, IR_IW | 0x8000 | 1);
        bed.fabric.poisonedLine = ROOT & -64;
        assertThat(Translation.faultCode(bed.read(0x3000))).isEqualTo(4);
        bed.fabric.poisonedLine = -1;
        assertThat(Translation.isFault(bed.read(0x3000))).isFalse();
    }

    @Test
    void aTableEntryOfAllOnesInMemoryIsAPageFault() {
        bed.attach(DEVICE, 1);
        bed.memory.store(ROOT, -1L);

        assertThat(Translation.faultCode(bed.read(0))).isEqualTo(2);
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x2090000500000110L, 0));
    }

    @Test
    void suppressAllKeepsPageFaultsOutOfTheLog() {
        bed.entry(DEVICE, ENTRY, 1L << 34 | 5); // SA, bit 98

        assertThat(Translation.isFault(bed.read(0x5000))).isTrue();
        assertThat(bed.events()).isEmpty();
    }

    @Test
    void suppressKeepsAllButTheFirstPageFaultOutOfTheLogUntilTheEntryIsInvalidated() {
        bed.entry(DEVICE, ENTRY, 1L << 33 | 5); // SE, bit 97
        bed.read(0x5000);
        bed.read(0x6000);
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x2000000500000110L, 0x5000));

        bed.command(0x2000000000000110L, 0);
        bed.read(0x7000);
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x2000000500000110L, 0x7000));
    }

    @ParameterizedTest
    @ValueSource(longs = {0x1001, 0x1000}) // EventLogEn is 0; IommuEn too
    void nothingIsLoggedWhileTheLogIsOff(long control) {
        bed.attach(DEVICE, 3);
        bed.unit.writeRegister64(TestBed.CONTROL, control);
        bed.read(0x5000);

        assertThat(bed.unit.readRegister64(0x2018)).isZero();
        assertThat(bed.unit.readRegister64(TestBed.STATUS) & 0xb).isZero();
    }
}
