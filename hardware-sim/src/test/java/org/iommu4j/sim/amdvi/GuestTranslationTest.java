// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.sim.amdvi.GuestBed.GCR3;
import static org.iommu4j.sim.amdvi.GuestBed.GIOV;
import static org.iommu4j.sim.amdvi.GuestBed.GUEST_ROOT;
import static org.iommu4j.sim.amdvi.GuestBed.GV;
import static org.iommu4j.sim.amdvi.GuestBed.PASID;
import static org.iommu4j.sim.amdvi.TestBed.DEVICE;
import static org.iommu4j.sim.amdvi.TestBed.IR;
import static org.iommu4j.sim.amdvi.TestBed.IR_IW;

import org.iommu4j.sim.amdvi.TestBed.LoggedEvent;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GuestTranslationTest {
    /** A PASID's page fault: GN, PASID 3. */
    private static final long FAULT = 0x2001000300000110L;

    private static final long WRITE = 0x0020000000000000L;
    private static final long PRESENT = 0x0010000000000000L;
    private static final long PERMISSION = 0x0040000000000000L;
    private static final long RESERVED = 0x0080000000000000L;

    private final GuestBed guest = new GuestBed();
    private final TestBed bed = guest.bed;

    @Test
    void theWordsOfAFourLevelWalkSpelledOut() {
        // GCR3 table at 87654000: bits 14:12 are 4, 30:15 are 0eca, 51:31 are 1.
        bed.memory.store(0x100000 + 0x110 * 32, 0x7080000000000003L); // IW IR, GCR3 14:12, GV, TV, V
        bed.memory.store(0x100000 + 0x110 * 32 + 8, 0x000008000eca0007L); // domain 7
        bed.memory.store(0x87654000L + 3 * 8, 0x0000000000700001L); // V
        // 0x123456789abc: indices 36, 209, 179, 393 from the top.
        bed.memory.store(0x700000 + 36 * 8, 0x701007L);
        bed.memory.store(0x701000 + 209 * 8, 0x702007L);
        bed.memory.store(0x702000 + 179 * 8, 0x703007L);
        bed.memory.store(0x703000 + 393 * 8, 0x98765007L);

        assertThat(bed.unit.translate(0x110, 3, 0x123456789abcL, RequestFlags.WRITE))
                .isEqualTo(Translation.to(0x98765abcL, false));
        assertThat(bed.events()).isEmpty();
    }

    @Test
    void fiveLevelsReachFurther() {
        guest.attach(0, 0);
        bed.memory.store(TestBed.DEVICE_TABLE + DEVICE * 32 + 16, 1L << 54);
        guest.map(0x00fedcba98765000L, 5, 1, 0x98765007L);
        guest.map(0xff00000000001000L, 5, 1, 0x12345007L);

        assertThat(guest.read(0x00fedcba98765123L)).isEqualTo(Translation.to(0x98765123L, false));
        assertThat(guest.read(0xff00000000001008L)).isEqualTo(Translation.to(0x12345008L, false));
        assertThat(Translation.isFault(guest.read(0x01fedcba98765123L))).isTrue();
    }

    @ParameterizedTest
    @CsvSource({"1, 12, 0x07", "2, 21, 0x87", "3, 30, 0x87"})
    void aPageHasTheSizeOfItsLevel(int level, int shift, long flags) {
        long size = 1L << shift;
        guest.attach(0, 0);
        guest.map(3 * size, 4, level, 2 * size | flags);

        assertThat(guest.read(3 * size)).isEqualTo(Translation.to(2 * size, false));
        assertThat(guest.read(4 * size - 1)).isEqualTo(Translation.to(3 * size - 1, false));
        assertThat(Translation.isFault(guest.read(4 * size))).isTrue();
        assertThat(Translation.isFault(guest.read(2 * size))).isTrue();
    }

    @ParameterizedTest
    @CsvSource({
        // directory, page: may read, may write
        "0x7, 0x7, true, true", "0x5, 0x7, true, false", "0x7, 0x5, true, false",
        "0x3, 0x7, false, false", "0x7, 0x3, false, false", "0x7, 0x1, false, false"
    })
    void everyEntryMustAllowAUsersRequest(long directory, long page, boolean read, boolean write) {
        guest.attach(0, 0);
        guest.map(0x5000, 4, 1, 0x6000 | page);
        bed.memory.store(GUEST_ROOT + 0x1000, GUEST_ROOT + 0x2000 | directory);

        for (int i = 0; i < 2; i++) { // walked, then cached
            assertThat(Translation.isFault(guest.read(0x5000))).isEqualTo(!read);
            assertThat(Translation.isFault(guest.write(0x5000))).isEqualTo(!write);
        }
    }

    @Test
    void nothingForcesAGuestsRequestsToBeCoherent() {
        guest.attach(GIOV, 0);
        guest.map(0x5000, 4, 1, 0x7ff0000000006fffL); // every bit but NX that software may set

        assertThat(guest.write(0x5000)).isEqualTo(Translation.to(0x6000, false));
        assertThat(bed.write(0x5000)).isEqualTo(Translation.to(0x6000, false));
    }

    @Test
    void requestsWithoutPasidGoThroughThoseOfPasidZeroWhereTheEntrySaysSo() {
        guest.attach(0, 0);
        guest.map(0x5000, 4, 1, 0x6007);
        assertThat(bed.read(0x5000)).as("GIOV is 0").isEqualTo(Translation.to(0x5000, false));

        guest.attach(GIOV, 0);
        bed.command(0x2000000000000110L, 0);
        assertThat(bed.read(0x5000)).isEqualTo(Translation.to(0x6000, false));
        bed.read(0x7000);
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x2001000000000110L, 0x7000));
    }

    @Test
    void everyPasidHasItsTables() {
        guest.attach(0, 0);
        guest.map(0x5000, 4, 1, 0x6007);
        bed.memory.store(GCR3 + 4 * 8, 0x780001);
        bed.memory.store(0x780000, 0x781007);
        bed.memory.store(0x781000, 0x782007);
        bed.memory.store(0x782000, 0x783007);
        bed.memory.store(0x783000 + 5 * 8, 0x9007);

        assertThat(guest.read(0x5000)).isEqualTo(Translation.to(0x6000, false));
        assertThat(bed.unit.translate(DEVICE, 4, 0x5000, RequestFlags.READ)).isEqualTo(Translation.to(0x9000, false));
        assertThat(Translation.isFault(bed.unit.translate(DEVICE, 5, 0x5000, RequestFlags.READ)))
                .isTrue();
    }

    @ParameterizedTest
    @CsvSource({"0, 0x1ff, 0x200", "1, 0x3ffff, 0x40000", "2, 0xfffff, -1"})
    void theGcr3TableHasAsManyLevelsAsTheEntrySays(int glx, int last, int beyond) {
        guest.attach((long) glx << 56, 0);
        guest.map(0x5000, 4, 1, 0x6007);
        long table = GCR3;
        for (int level = glx; level > 0; level--) {
            bed.memory.store(table + ((last >>> (9 * level)) & 0x1ff) * 8L, table + 0x1000 | 1);
            table += 0x1000;
        }
        bed.memory.store(table + 0x1ff * 8, GUEST_ROOT | 1);

        assertThat(bed.unit.translate(DEVICE, last, 0x5000, RequestFlags.READ))
                .isEqualTo(Translation.to(0x6000, false));
        if (beyond > 0) {
            assertThat(Translation.isFault(bed.unit.translate(DEVICE, beyond, 0x5000, RequestFlags.READ)))
                    .isTrue();
        }
    }

    @Test
    void aPasidOfMoreBitsThanTheUnitHasFaults() {
        GuestBed narrow = new GuestBed((GuestBed.EFR & ~(0x1fL << 32)) | 2L << 32, AmdViUnitProvider.CAP); // 3 bits
        narrow.attach(0, 0);
        narrow.map(0x5000, 4, 1, 0x6007);
        narrow.bed.memory.store(GCR3 + 8 * 8, GUEST_ROOT | 1);

        assertThat(narrow.read(0x5000)).isEqualTo(Translation.to(0x6000, false));
        assertThat(Translation.faultCode(narrow.bed.unit.translate(DEVICE, 8, 0x5000, RequestFlags.READ)))
                .isEqualTo(2);
    }

    @ParameterizedTest
    @CsvSource({
        // level, entry, flags of the event of a read
        "1, 0x6006, 0",
        "2, 0x0, 0",
        "4, 0x0, 0",
        "1, 0x6001, 0x0050000000000000",
        "4, 0x701087, 0x0090000000000000",
        "3, 0x40002087, 0x0090000000000000",
        "2, 0x202087, 0x0090000000000000"
    })
    void aBadEntryIsLogged(int level, long entry, long flags) {
        guest.attach(0, 0);
        guest.map(0x5000, 4, level, entry);

        assertThat(Translation.faultCode(guest.read(0x5000))).isEqualTo(2);
        assertThat(bed.events()).containsExactly(new LoggedEvent(FAULT | flags, 0x5000));
    }

    @Test
    void patOfALargePageIsNotReserved() {
        guest.attach(0, 0);
        guest.map(0, 4, 2, 0x201087);

        assertThat(guest.read(0x10)).isEqualTo(Translation.to(0x200010, false));
    }

    @Test
    void noExecuteIsReservedOnAUnitThatDoesNotKnowIt() {
        long page = 0x8000000000006007L;
        guest.attach(0, 0);
        guest.map(0x5000, 4, 1, page);
        assertThat(guest.read(0x5000)).isEqualTo(Translation.to(0x6000, false));

        GuestBed without = new GuestBed(GuestBed.EFR & ~8L, AmdViUnitProvider.CAP);
        without.attach(0, 0);
        without.map(0x5000, 4, 1, page);
        assertThat(Translation.isFault(without.read(0x5000))).isTrue();
        assertThat(without.bed.events()).containsExactly(new LoggedEvent(FAULT | PRESENT | RESERVED, 0x5000));
    }

    @ParameterizedTest
    @ValueSource(longs = {0x0000800000000000L, 0xffff7fffffffffffL, 0x0001000000005000L})
    void anAddressWhoseHighBitsAreNotAlikeFaults(long address) {
        guest.attach(0, 0);
        guest.map(0x5000, 4, 1, 0x6007);

        assertThat(Translation.faultCode(guest.read(address))).isEqualTo(2);
    }

    @Test
    void bothHalvesOfTheAddressSpaceAreTranslated() {
        guest.attach(0, 0);
        guest.map(0xffff800000005000L, 4, 1, 0x6007);

        assertThat(guest.write(0xffff800000005abcL)).isEqualTo(Translation.to(0x6abc, false));
    }

    @ParameterizedTest
    @ValueSource(ints = {4, 5})
    void pasidZerosAddressesAreNotExtendedByTheirSign(int levels) {
        long top = 1L << (levels == 4 ? 47 : 56);
        guest.attach(GIOV, 0);
        bed.memory.store(TestBed.DEVICE_TABLE + DEVICE * 32L + 16, (levels - 4L) << 54);
        guest.map(top | 0x5000, levels, 1, 0x6007);

        assertThat(bed.read(top | 0x5000)).isEqualTo(Translation.to(0x6000, false));
        assertThat(Translation.isFault(bed.read(-top | 0x5000))).isTrue();
        assertThat(Translation.isFault(guest.read(top | 0x5000))).isTrue();
        assertThat(guest.read(-top | 0x5000)).isEqualTo(Translation.to(0x6000, false));
        assertThat(Translation.isFault(bed.read(2 * top | 0x5000))).isTrue();
    }

    @ParameterizedTest
    @CsvSource({"0x0, 0", "0x700003, 0x0090000000000000", "0x10000000700001, 0x0090000000000000"})
    void aBadGcr3EntryIsLogged(long entry, long flags) {
        guest.attach(0, 0);
        bed.memory.store(GCR3 + PASID * 8L, entry);

        assertThat(Translation.faultCode(guest.write(0x5000))).isEqualTo(2);
        assertThat(bed.events()).containsExactly(new LoggedEvent(FAULT | WRITE | flags, 0x5000));
    }

    @Test
    void tablesOutsideMemoryAreHardwareErrorsLoggedWithThePasid() {
        guest.attach(0, 0);
        bed.memory.store(GCR3 + PASID * 8L, TestBed.MEMORY | 1);
        assertThat(Translation.faultCode(guest.read(0x5000))).isEqualTo(4);
        // Type 1 (master abort), GN, PASID
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x4201000300000110L, TestBed.MEMORY));
    }

    @Test
    void aGcr3TableOutsideMemoryIsAHardwareErrorLoggedWithAllOfThePasid() {
        // GV, three levels
        bed.entry(DEVICE, IR_IW | 0x0280000000000003L, TestBed.MEMORY >> 31 << 43 | 5);
        assertThat(Translation.faultCode(bed.unit.translate(DEVICE, 0xabcde, 0x5000, RequestFlags.WRITE)))
                .isEqualTo(4);
        // Type 1, RW, GN, PASID in two parts
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x4221bcde000a0110L, TestBed.MEMORY + 16));
    }

    @Test
    void aRequestWithAPasidNeedsGuestTables() {
        bed.attach(DEVICE, 3);
        bed.map(0x5000, 3, 1, IR_IW | 0x6000 | 1);

        assertThat(Translation.faultCode(guest.write(0x5000))).isEqualTo(2);
        assertThat(bed.events()).containsExactly(new LoggedEvent(FAULT | WRITE, 0x5000));
    }

    @Test
    void rightsOfTheDeviceTableEntryApplyToGuestsToo() {
        guest.attach(0, 0);
        guest.map(0x5000, 4, 1, 0x6007);
        bed.entry(DEVICE, IR | GV | 3, (GCR3 >> 15) << 16 | 5);

        assertThat(guest.read(0x5000)).isEqualTo(Translation.to(0x6000, false));
        assertThat(Translation.isFault(guest.write(0x5000))).isTrue();
        assertThat(bed.events()).containsExactly(new LoggedEvent(FAULT | WRITE | PRESENT | PERMISSION, 0x5000));
    }

    @Test
    void theInterruptRangeIsMemoryForARequestWithAPasid() {
        guest.attach(0, 0);
        guest.map(0xfee00000L, 4, 1, 0x6007);

        assertThat(guest.write(0xfee00000L)).isEqualTo(Translation.to(0x6000, false));
        assertThat(bed.write(0xfee00000L)).isEqualTo(Translation.to(0xfee00000L, false));
    }

    /** Entries that ask for what this or that unit can't do; the event is of a read. */
    @ParameterizedTest
    @CsvSource({
        "0x0013001300009958, 0x11005, 0x0380000000000000, 0, 0x1000000000000110", // GLX 3
        "0x0013001300005958, 0x11005, 0x0280000000000000, 0, 0x1000000000000110", // GLX 2 of 2 levels
        "0x0013001300009958, 0x11005, 0x0080000000000000, 0x0080000000000000, 0x1000000000000110", // mode 2
        "0x0013001300008958, 0x11005, 0x0080000000000000, 0x0040000000000000, 0x1000000000000110", // 5 levels of 4
        "0x0013001300009958, 0x01005, 0x0080000000000000, 0, 0x1000000000000110", // GTEn is 0
        "0x0013001300009948, 0x11005, 0x0080000000000000, 0, 0x1080000000000110", // GTSup is 0
        "0x0012001300009958, 0x11005, 0x00c0000000000000, 0, 0x1080000000000110", // GIOSup is 0
        "0x0013001300009958, 0x11005, 0x0010000000000000, 0, 0x1080000000000110", // PPRSup is 0
        "0x0011001300009958, 0x11005, 0x0000000000000080, 0, 0x1080000000000110", // HASup is 0
        "0x0003001300009958, 0x11005, 0x0000000000000180, 0, 0x1080000000000110", // HDSup is 0
        "0x0013001300009958, 0x11005, 0x0000000000000100, 0, 0x1000000000000110" // dirty without accessed
    })
    void anEntryThatAsksForTooMuchIsIllegal(long efr, long control, long word0, long word2, long event) {
        GuestBed unable = new GuestBed(efr, AmdViUnitProvider.CAP);
        unable.bed.unit.writeRegister64(TestBed.CONTROL, control);
        unable.bed.entry(DEVICE, IR_IW | word0 | 3, 5);
        unable.bed.memory.store(TestBed.DEVICE_TABLE + DEVICE * 32 + 16, word2);

        assertThat(Translation.faultCode(
                        unable.bed.unit.translate(DEVICE, TranslationUnit.NO_PASID, 0x5000, RequestFlags.READ)))
                .isEqualTo(1);
        assertThat(unable.bed.events()).containsExactly(new LoggedEvent(event, 0x5000));
    }
}
