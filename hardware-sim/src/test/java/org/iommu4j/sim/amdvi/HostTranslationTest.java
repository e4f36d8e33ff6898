// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.sim.amdvi.TestBed.DEVICE;
import static org.iommu4j.sim.amdvi.TestBed.FC;
import static org.iommu4j.sim.amdvi.TestBed.IR;
import static org.iommu4j.sim.amdvi.TestBed.IR_IW;
import static org.iommu4j.sim.amdvi.TestBed.IW;
import static org.iommu4j.sim.amdvi.TestBed.ROOT;

import org.iommu4j.sim.spi.Translation;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class HostTranslationTest {
    private final TestBed bed = new TestBed();

    @Test
    void theWordsOfAFourLevelWalkSpelledOut() {
        // 0x123456789abc: indices 36, 209, 179, 393 from the top.
        bed.memory.store(0x100000 + 0x110 * 32, 0x6000000000400803L); // IW IR, root 400000, Mode 4, TV, V
        bed.memory.store(0x100000 + 0x110 * 32 + 8, 0x0000000000000007L); // domain 7
        bed.memory.store(0x400000 + 36 * 8, 0x6000000000401601L); // table 401000, NextLevel 3
        bed.memory.store(0x401000 + 209 * 8, 0x6000000000402401L); // NextLevel 2
        bed.memory.store(0x402000 + 179 * 8, 0x6000000000403201L); // NextLevel 1
        bed.memory.store(0x403000 + 393 * 8, 0x7000000098765001L); // page 98765000, FC

        assertThat(bed.read(0x123456789abcL)).isEqualTo(Translation.to(0x98765abcL, true));
        assertThat(bed.events()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "1, 0x1ff000",
        "2, 0x3fe01000",
        "3, 0x7fbfc01000",
        "4, 0xff7f9fc01000",
        "5, 0x1fefe7f9fc01000",
        "6, 0xf123456789ab1000"
    })
    void everyNumberOfLevelsReachesItsPages(int levels, String iova) {
        long address = Long.parseUnsignedLong(iova.substring(2), 16);
        bed.attach(DEVICE, levels);
        bed.map(address, levels, 1, IR_IW | 0x77777000L | 1);

        assertThat(bed.read(address + 0x123)).isEqualTo(Translation.to(0x77777123L, false));
        assertThat(bed.write(address + 0xfff)).isEqualTo(Translation.to(0x77777fffL, false));
    }

    @ParameterizedTest
    @CsvSource({"1, 12", "2, 21", "3, 30", "4, 39", "5, 48"})
    void aPageWithNextLevelZeroHasTheDefaultSizeOfItsLevel(int level, int shift) {
        long size = 1L << shift;
        long iova = 3 * size;
        bed.attach(DEVICE, 6);
        bed.map(iova, 6, level, IR_IW | FC | 2 * size | 1);

        assertThat(bed.read(iova)).isEqualTo(Translation.to(2 * size, true));
        assertThat(bed.read(iova + size - 1)).isEqualTo(Translation.to(3 * size - 1, true));
        assertThat(Translation.isFault(bed.read(iova + size))).isTrue();
    }

    @Test
    void aPageOfLevelSixIsLargerThanPhysicalAddresses() {
        bed.attach(DEVICE, 6);
        bed.map(0, 6, 6, IR_IW | 1);

        assertThat(Translation.faultCode(bed.read(0x1000))).isEqualTo(2);
        assertThat(bed.events()).containsExactly(new TestBed.LoggedEvent(0x2010000500000110L, 0x1000));
    }

    @ParameterizedTest
    @CsvSource({
        // log2 of the size, level, address field with the size in its low bits
        "13, 1, 0x0000000", "14, 1, 0x0001000", "15, 1, 0x0003000", "16, 1, 0x0007000", "20, 1, 0x007f000",
        "22, 2, 0x01ff000", "23, 2, 0x03ff000", "29, 2, 0x0ffff000", "31, 3, 0x3ffff000", "38, 3, 0x1ffffff000",
        "40, 4, 0x7ffffff000", "47, 4, 0x3ffffffff000", "49, 5, 0xfffffffff000", "51, 5, 0x3fffffffff000"
    })
    void aPageWithNextLevelSevenHasTheSizeThatItsAddressEncodes(int shift, int level, String encoding) {
        long size = 1L << shift;
        long physical = shift < 51 ? 2 * size : 0;
        long iova = 2 * size;
        long entry = IR_IW | physical | Long.decode(encoding) | 7 << 9 | 1;
        int copies = 1 << (shift - 12 - 9 * (level - 1));
        bed.attach(DEVICE, 6);
        for (int i = 0; i < copies; i++) {
            bed.map(iova + ((long) i << (12 + 9 * (level - 1))), 6, level, entry);
        }

        assertThat(bed.read(iova)).isEqualTo(Translation.to(physical, false));
        assertThat(bed.read(iova + size - 8)).isEqualTo(Translation.to(physical + size - 8, false));
        assertThat(bed.read(iova + size / 2 + 5)).isEqualTo(Translation.to(physical + size / 2 + 5, false));
    }

    @Test
    void anEncodedPageIsCachedAsAWhole() {
        bed.attach(DEVICE, 3);
        long first = bed.map(0x10000, 3, 1, IR_IW | 0x87000L | 7 << 9 | 1); // 64K at 80000
        bed.read(0x10000);

        assertThat(bed.memory.load(first + 8)).isZero();
        assertThat(bed.read(0x1f000)).isEqualTo(Translation.to(0x8f000, false));
    }

    @Test
    void aDirectoryMaySkipLevelsWhoseAddressBitsAreZero() {
        bed.attach(DEVICE, 4);
        bed.memory.store(ROOT + 5 * 8, IR_IW | 0x403000L | 1 << 9 | 1); // level 4 straight to level 1
        bed.memory.store(0x403000 + 7 * 8, IR_IW | 0x9000L | 1);

        assertThat(bed.read((5L << 39) + 0x7010)).isEqualTo(Translation.to(0x9010, false));
        assertThat(Translation.isFault(bed.read((5L << 39) + (1L << 21) + 0x7010)))
                .isTrue();
        assertThat(Translation.isFault(bed.read((5L << 39) + (1L << 38) + 0x7010)))
                .isTrue();
    }

    @ParameterizedTest
    @CsvSource({
        "RW, RW, RW, RW", "R, RW, RW, R", "W, RW, RW, W", "RW, R, RW, R", "RW, W, RW, W",
        "RW, RW, R, R", "RW, RW, W, W", "R, W, RW, -", "RW, W, R, -", "-, RW, RW, -"
    })
    void permissionsAreThoseOfEntryDirectoriesAndPageTogether(
            String device, String directory, String page, String expected) {
        bed.entry(DEVICE, permissions(device) | ROOT | 2 << 9 | 3, 5);
        bed.memory.store(ROOT + 8, permissions(directory) | 0x401000L | 1 << 9 | 1);
        bed.memory.store(0x401000 + 8, permissions(page) | 0x33000L | 1);

        for (int i = 0; i < 2; i++) { // walked, then cached
            assertThat(Translation.isFault(bed.read(0x201000))).isEqualTo(!expected.contains("R"));
            assertThat(Translation.isFault(bed.write(0x201000))).isEqualTo(!expected.contains("W"));
        }
    }

    private static long permissions(String text) {
        return (text.contains("R") ? IR : 0) | (text.contains("W") ? IW : 0);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void forceCoherentOfThePageForcesSnoop(boolean forced) {
        bed.attach(DEVICE, 3);
        bed.map(0x5000, 3, 1, IR_IW | (forced ? FC : 0) | 0x6000 | 1);

        assertThat(Translation.snoopForced(bed.read(0x5000))).isEqualTo(forced);
        assertThat(Translation.snoopForced(bed.write(0x5008))).isEqualTo(forced);
    }

    @Test
    void ignoredBitsOfEntriesChangeNothing() {
        bed.attach(DEVICE, 2);
        bed.memory.store(ROOT, 0x80000000000001feL | IR_IW | 0x401000L | 1 << 9 | 1);
        bed.memory.store(0x401000, 0x88000000000001feL | IR_IW | 0x33000L | 1);

        assertThat(bed.read(0x10)).isEqualTo(Translation.to(0x33010, false));
    }

    @Test
    void modeZeroPassesAddressesOnWithinTheEntrysPermissions() {
        bed.entry(DEVICE, IR | 3, 5);

        assertThat(bed.read(0x123456789000L)).isEqualTo(Translation.to(0x123456789000L, false));
        assertThat(bed.events()).isEmpty();
        assertThat(Translation.faultCode(bed.write(0x123456789000L))).isEqualTo(2);
        assertThat(Translation.isFault(bed.read(1L << 52)))
                .as("no physical address")
                .isTrue();
    }

    @Test
    void anEntryThatIsNotValidPassesEverythingOn() {
        bed.entry(DEVICE, ROOT | 3 << 9 | 2 | 0x7cL, -1L);

        assertThat(bed.write(0x1234)).isEqualTo(Translation.to(0x1234, false));
        assertThat(bed.events()).isEmpty();
    }

    @Test
    void aUnitThatIsOffPassesEverythingOn() {
        bed.attach(DEVICE, 3);
        bed.unit.writeRegister64(TestBed.CONTROL, 0x1004);

        assertThat(bed.write(0x1234)).isEqualTo(Translation.to(0x1234, false));
    }

    @Test
    void theInterruptRangeIsNotTranslated() {
        bed.attach(DEVICE, 3);

        assertThat(bed.write(0xfee00000L)).isEqualTo(Translation.to(0xfee00000L, false));
        assertThat(bed.write(0xfeefffffL)).isEqualTo(Translation.to(0xfeefffffL, false));
        assertThat(Translation.isFault(bed.write(0xfef00000L))).isTrue();
        assertThat(Translation.isFault(bed.write(0xfedfffffL))).isTrue();
    }

    @Test
    void theExclusionRangePassesOnForDevicesThatAllowIt() {
        bed.attach(DEVICE, 3);
        bed.unit.writeRegister64(0x28, 0x21000);
        bed.unit.writeRegister64(0x20, 0x20001); // enabled, 20000 to 21fff

        assertThat(Translation.isFault(bed.read(0x20000))).as("EX is 0").isTrue();

        bed.entry(DEVICE, IR_IW | ROOT | 3 << 9 | 3, 1L << 39 | 5); // EX, bit 103
        bed.command(0x2000000000000110L, 0);
        assertThat(bed.read(0x20000)).isEqualTo(Translation.to(0x20000, false));
        assertThat(bed.write(0x21fff)).isEqualTo(Translation.to(0x21fff, false));
        assertThat(Translation.isFault(bed.read(0x22000))).isTrue();
        assertThat(Translation.isFault(bed.read(0x1ffff))).isTrue();

        bed.attach(DEVICE, 3);
        bed.command(0x2000000000000110L, 0);
        bed.unit.writeRegister64(0x20, 0x20003); // Allow
        assertThat(bed.read(0x20000)).isEqualTo(Translation.to(0x20000, false));
    }
}
