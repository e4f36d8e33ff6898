// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.sim.amdvi.TestBed.DEVICE;
import static org.iommu4j.sim.amdvi.TestBed.FC;
import static org.iommu4j.sim.amdvi.TestBed.IR;
import static org.iommu4j.sim.amdvi.TestBed.IR_IW;
import static org.iommu4j.sim.amdvi.TestBed.ROOT;

import org.iommu4j.sim.amdvi.TestBed.LoggedEvent;
import org.iommu4j.sim.spi.InvalidationAnswer;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Devices that keep translations of their own: requests for them, requests with them, and their invalidation. */
class DeviceIotlbTest {
    private static final long I = 1L << 32;
    /** Host tables of 3 levels. */
    private static final long ENTRY = IR_IW | ROOT | 3 << 9 | 3;

    private static final int NO_PASID = TranslationUnit.NO_PASID;

    private final GuestBed guest = new GuestBed();
    private final TestBed bed = guest.bed;

    private long request(long address, boolean write) {
        return bed.unit.requestTranslation(DEVICE, NO_PASID, address, RequestFlags.readOrWrite(write));
    }

    private long pass(long address) {
        return bed.unit.passTranslated(DEVICE, NO_PASID, address, RequestFlags.WRITE);
    }

    @Test
    void aDeviceThatMayIsToldATranslationAndThenUsesIt() {
        bed.entry(DEVICE, ENTRY, I | 5);
        bed.map(0x5000, 3, 1, IR_IW | FC | 0x6000 | 1);

        assertThat(request(0x5123, true)).isEqualTo(Translation.to(0x6123, true));
        assertThat(pass(0x6123)).isEqualTo(Translation.to(0x6123, false));
        assertThat(bed.events()).isEmpty();
    }

    @Test
    void aDeviceIsToldAPasidsTranslationToo() {
        guest.attach(0, 0);
        bed.memory.store(
                TestBed.DEVICE_TABLE + DEVICE * 32 + 8, bed.memory.load(TestBed.DEVICE_TABLE + DEVICE * 32 + 8) | I);
        guest.map(0x5000, 4, 1, 0x6007);

        assertThat(bed.unit.requestTranslation(DEVICE, GuestBed.PASID, 0x5000, RequestFlags.WRITE))
                .isEqualTo(Translation.to(0x6000, false));
        assertThat(bed.unit.requestTranslation(DEVICE, GuestBed.PASID, 0x7000, RequestFlags.WRITE))
                .isEqualTo(TranslationUnit.NOT_TRANSLATED);
        assertThat(bed.events()).isEmpty();
    }

    @Test
    void whatCantBeGrantedIsAnAnswerAndNoFault() {
        bed.entry(DEVICE, ENTRY, I | 5);
        bed.map(0x5000, 3, 1, IR | 0x6000 | 1);

        assertThat(request(0x7000, false)).isEqualTo(TranslationUnit.NOT_TRANSLATED);
        assertThat(request(0x5000, true)).isEqualTo(TranslationUnit.NOT_TRANSLATED);
        assertThat(bed.events()).isEmpty();
    }

    @Test
    void reservedBitsInATableAreLoggedForATranslationRequestToo() {
        bed.entry(DEVICE, ENTRY, I | 5);
        bed.map(0x5000, 3, 1, IR_IW | 1L << 58 | 0x6000 | 1);

        assertThat(Translation.faultCode(request(0x5000, false))).isEqualTo(2);
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x2190000500000110L, 0x5000));
    }

    @ParameterizedTest
    @CsvSource({
        // V and TV, I
        "3, 0, true",
        "0, 0x100000000, true",
        "1, 0x100000000, false"
    })
    void aDeviceThatMayNotIsRefusedAndLoggedWithoutTheDirection(long valid, long iotlb, boolean pretranslatedToo) {
        bed.entry(DEVICE, (ENTRY & ~3L) | valid, iotlb | 5);
        bed.map(0x5000, 3, 1, IR_IW | 0x6000 | 1);

        assertThat(Translation.faultCode(request(0x5000, true))).isEqualTo(8);
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x8100000000000110L, 0x5000));
        if (pretranslatedToo) {
            assertThat(Translation.faultCode(pass(0x6000))).isEqualTo(8);
            assertThat(bed.events()).containsExactly(new LoggedEvent(0x8200000000000110L, 0x6000));
        } else {
            assertThat(pass(0x6000)).isEqualTo(Translation.to(0x6000, false));
        }
    }

    @Test
    void anInterruptsAddressIsNotTranslatedForADevice() {
        bed.entry(DEVICE, ENTRY, I | 5);

        assertThat(Translation.faultCode(request(0xfee00000L, true))).isEqualTo(8);
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x8300000000000110L, 0xfee00000L));
        assertThat(pass(0xfee00000L)).isEqualTo(Translation.to(0xfee00000L, false));
    }

    @Test
    void aRefusedTranslationRequestIsLoggedWithItsPasid() {
        bed.entry(DEVICE, ENTRY & ~2L, I | 5);

        assertThat(Translation.faultCode(bed.unit.requestTranslation(DEVICE, 0xabcde, 0x5000, RequestFlags.WRITE)))
                .isEqualTo(8);
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x8101bcde000a0110L, 0x5000));
    }

    @Test
    void aUnitWithoutSupportForIotlbsRefusesThemAll() {
        TestBed without = new TestBed(TestBed.EFR, AmdViUnitProvider.CAP & ~(1L << 24));
        without.entry(DEVICE, ENTRY, I | 5);

        assertThat(Translation.faultCode(without.unit.requestTranslation(DEVICE, NO_PASID, 0x5000, RequestFlags.READ)))
                .isEqualTo(8);
        assertThat(without.events()).containsExactly(new LoggedEvent(0x8100000000000110L, 0x5000));
    }

    @Test
    void aUnitThatIsOffTakesNoTranslationRequests() {
        bed.unit.writeRegister64(TestBed.CONTROL, 0x1004);

        assertThat(Translation.isFault(request(0x5000, false))).isTrue();
        assertThat(pass(0x6000)).isEqualTo(Translation.to(0x6000, false));
    }

    @ParameterizedTest
    @CsvSource({
        "0x4000000120000110, 0x40205000, '0110 pasid ffffffff: 40205000 of 1000'",
        "0x4000000120000110, 0x40207001, '0110 pasid ffffffff: 40200000 of 10000'",
        "0x4000000120000110, 0x7ffffffffffff001, '0110 pasid ffffffff: 0 of 8000000000000000'",
        "0x4ade0001 20bc0110, 0x40205004, '0110 pasid abcde: 40205000 of 1000'",
    })
    void anInvalidationReachesTheDevice(String word0, long word1, String seen) {
        bed.fabric.answer = InvalidationAnswer.DONE;
        bed.command(Long.decode(word0.replace(" ", "")), word1);

        assertThat(bed.fabric.invalidations).containsExactly(seen);
        assertThat(bed.events()).isEmpty();
        assertThat(bed.unit.readRegister64(0x2000)).isEqualTo(16);
    }

    @Test
    void aDeviceThatDoesNotAnswerIsLoggedWhenTheTimeIsOver() {
        bed.unit.writeRegister64(TestBed.CONTROL, 0x11085); // InvTimeOut 4
        bed.command(0x4000000000000110L, 0x5000);
        bed.command(0x1000000000500001L, 7);

        assertThat(bed.events()).containsExactly(new LoggedEvent(0x7000000000000110L, TestBed.COMMANDS));
        assertThat(bed.memory.load(TestBed.STORE)).isEqualTo(7);
    }

    @Test
    void aCompletionWaitWaitsForADeviceThatAnswersLater() {
        bed.fabric.answer = InvalidationAnswer.LATER;
        bed.command(0x4000000000000110L, 0x5000);
        bed.command(0x1000000000500001L, 7);

        assertThat(bed.memory.load(TestBed.STORE)).as("before the answer").isZero();
        assertThat(bed.unit.completeInvalidation(0x111, 1, 1)).as("of another device").isFalse();
        assertThat(bed.unit.completeInvalidation(0x110, 1, 2)).isTrue();
        assertThat(bed.unit.step()).as("the second message is missing").isFalse();
        assertThat(bed.unit.completeInvalidation(0x110, 1, 2)).isTrue();
        assertThat(bed.unit.step()).isTrue();
        assertThat(bed.memory.load(TestBed.STORE)).isEqualTo(7);
        assertThat(bed.events()).isEmpty();
    }

    @Test
    void aLateAnswerThatDoesNotComeIsLoggedWithItsCommand() {
        bed.unit.writeRegister64(TestBed.CONTROL, 0x11085); // InvTimeOut 4
        bed.fabric.answer = InvalidationAnswer.LATER;
        bed.command(0x4000000000000110L, 0x5000);
        bed.command(0x1000000000500001L, 7);
        bed.unit.timeOutInvalidations(1);

        assertThat(bed.unit.step()).isTrue();
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x7000000000000110L, TestBed.COMMANDS));
        assertThat(bed.memory.load(TestBed.STORE)).isEqualTo(7);
    }

    @Test
    void withoutATimeLimitACompletionWaitNeverCompletes() {
        bed.command(0x4000000000000110L, 0x5000);
        bed.command(0x1000000000500001L, 7);

        assertThat(bed.memory.load(TestBed.STORE)).isZero();
        assertThat(bed.unit.readRegister64(0x2000)).isEqualTo(16);
        assertThat(bed.unit.step()).isFalse();
        assertThat(bed.events()).isEmpty();

        bed.unit.writeRegister64(TestBed.CONTROL, 0x10005); // CmdBufEn off and on
        bed.unit.writeRegister64(TestBed.CONTROL, 0x11005);
        bed.drain();
        assertThat(bed.memory.load(TestBed.STORE)).isEqualTo(7);
    }
}
