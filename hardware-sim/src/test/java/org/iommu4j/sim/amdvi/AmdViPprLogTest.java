// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.sim.amdvi.TestBed.CONTROL;
import static org.iommu4j.sim.amdvi.TestBed.DEVICE;
import static org.iommu4j.sim.amdvi.TestBed.STATUS;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.sim.amdvi.TestBed.LoggedEvent;
import org.iommu4j.sim.spi.InvalidationAnswer;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The log of page requests, its registers, and the answers, in words from the manual. */
class AmdViPprLogTest {
    private static final long LOG = 0x900000;
    private static final int HEAD = 0x2030;
    private static final int TAIL = 0x2038;
    private static final long OVERFLOW = 1 << 5;
    private static final long INTERRUPT = 1 << 6;
    private static final long RUNNING = 1 << 7;

    private static final long PPR_SUP = 1 << 1;
    private static final long AUTO_RESPONSE_SUP = 1L << 41;
    private static final long ENHANCED = 1L << 50;

    /** IommuEn, EventLogEn, CmdBufEn, GTEn; PprLogEn and PprEn. */
    private static final long ON = 0x11005 | 1 << 13 | 1 << 15;

    private static final long AUTO_RESPONSE = 1L << 39;
    private static final long PPR = 1L << 52;
    private static final long GPRP = 1L << 53;
    private static final int PASID = 0xabcde;
    private static final int NO_PASID = TranslationUnit.NO_PASID;
    private static final long PAGE = 0x7000_1000L;

    private GuestBed guest;
    private TestBed bed;
    private TranslationUnit unit;

    AmdViPprLogTest() {
        open(PPR_SUP | AUTO_RESPONSE_SUP);
    }

    private void open(long features) {
        guest = new GuestBed((GuestBed.EFR & ~ENHANCED) | features, AmdViUnitProvider.CAP);
        bed = guest.bed;
        unit = bed.unit;
        guest.attach(PPR | GPRP, 0);
        unit.writeRegister64(0x38, 0x0800000000000000L | LOG);
        unit.writeRegister64(CONTROL, ON);
    }

    private void ask(boolean last, int group) {
        unit.requestPage(DEVICE, PASID, PAGE, RequestFlags.READ | (last ? RequestFlags.LAST : 0), group);
    }

    private List<String> logged() {
        List<String> logged = new ArrayList<>();
        for (long at = unit.readRegister64(HEAD); at != unit.readRegister64(TAIL); at = (at + 16) % 4096) {
            logged.add(String.format("%016x %x", bed.memory.load(LOG + at), bed.memory.load(LOG + at + 8)));
        }
        return logged;
    }

    private List<String> responses() {
        List<String> taken = List.copyOf(bed.fabric.responses);
        bed.fabric.responses.clear();
        return taken;
    }

    @Test
    void aRequestIsLoggedSnoopedWithItsCodeLast() {
        bed.fabric.recording = true;
        unit.requestPage(DEVICE, PASID, PAGE, RequestFlags.READ | RequestFlags.WRITE | RequestFlags.LAST, 0x1ff);
        assertThat(logged()).as("not before a step").isEmpty();
        bed.drain();
        // Page service request; GN, US, W, R; PASID 19:16; L and tag; PASID 15:0; device.
        assertThat(logged()).containsExactly("11642bffbcde0110 70001000");
        assertThat(bed.fabric.accesses).containsSequence("write 900008 snooped", "write 900000 snooped");
        assertThat(unit.readRegister64(STATUS) & (OVERFLOW | INTERRUPT | RUNNING))
                .isEqualTo(INTERRUPT | RUNNING);
        unit.writeRegister64(STATUS, INTERRUPT);
        assertThat(unit.readRegister64(STATUS) & INTERRUPT).isZero();

        unit.requestPage(DEVICE, NO_PASID, PAGE, RequestFlags.WRITE, 2);
        bed.drain();
        assertThat(logged()).hasSize(2).last().isEqualTo("1060000200000110 70001000");
        assertThat(responses()).isEmpty();
    }

    @Test
    void aRequestSaysThatItWantsToExecuteAndIsPrivileged() {
        unit.requestPage(DEVICE, PASID, PAGE, RequestFlags.READ | RequestFlags.EXECUTE | RequestFlags.PRIVILEGED, 2);
        bed.drain();
        assertThat(logged()).as("X and R, no US").containsExactly("11062802bcde0110 70001000");
    }

    @Test
    void theLogIsARing() {
        for (int i = 0; i < 600; i++) {
            ask(true, i % 512);
            bed.drain();
            assertThat(logged()).hasSize(1);
            unit.writeRegister64(HEAD, unit.readRegister64(TAIL));
        }
    }

    @Test
    void aFullLogLosesRequestsAndStopsUntilSoftwareRestartsIt() {
        for (int i = 0; i < 255; i++) {
            ask(true, i);
        }
        bed.drain();
        assertThat(unit.readRegister64(STATUS) & (OVERFLOW | RUNNING))
                .as("full")
                .isEqualTo(RUNNING);
        ask(true, 255);
        bed.drain();
        assertThat(unit.readRegister64(STATUS) & (OVERFLOW | RUNNING)).isEqualTo(OVERFLOW);
        assertThat(logged()).hasSize(255);
        assertThat(responses()).as("nobody answers").isEmpty();

        unit.writeRegister64(HEAD, unit.readRegister64(TAIL));
        ask(true, 256);
        bed.drain();
        unit.writeRegister64(CONTROL, ON);
        ask(true, 257);
        bed.drain();
        assertThat(logged()).as("room, but PprOverflow is set").isEmpty();
        unit.writeRegister64(STATUS, OVERFLOW);
        ask(true, 258);
        bed.drain();
        assertThat(logged()).as("PprLogEn was not written").isEmpty();
        unit.writeRegister64(CONTROL, ON & ~(1 << 13));
        unit.writeRegister64(CONTROL, ON);
        ask(true, 259);
        bed.drain();
        assertThat(logged()).hasSize(1);
        assertThat(bed.events()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 15})
    void lostRequestsAreAnsweredByTheUnitWhereThatIsOn(int code) {
        unit.writeRegister64(0x2080, code);
        unit.writeRegister64(CONTROL, (ON & ~(1 << 13)) | AUTO_RESPONSE);
        ask(false, 3);
        ask(true, 3);
        bed.drain();
        assertThat(responses()).containsExactly("0110 pasid abcde group 3: " + code);
        assertThat(logged()).isEmpty();
        unit.writeRegister64(CONTROL, ON & ~(1 << 13));
        ask(true, 4);
        bed.drain();
        assertThat(responses()).isEmpty();
    }

    @Test
    void aUnitWithoutAutomaticResponsesAnswersNothing() {
        open(PPR_SUP);
        unit.writeRegister64(CONTROL, (ON & ~(1 << 13)) | AUTO_RESPONSE);
        ask(true, 3);
        bed.drain();
        assertThat(responses()).isEmpty();
    }

    private void assertRefused() {
        unit.requestPage(DEVICE, PASID, PAGE, RequestFlags.READ, 7);
        unit.requestPage(DEVICE, PASID, PAGE, RequestFlags.READ | RequestFlags.LAST, 7);
        bed.drain();
        assertThat(logged()).isEmpty();
        assertThat(responses()).hasSize(1).first().asString().endsWith("group 7: 1");
        assertThat(bed.events())
                .containsExactly(
                        new LoggedEvent(0x91442807bcde0110L & ~(1L << 41), PAGE),
                        new LoggedEvent(0x91442807bcde0110L | 1L << 41, PAGE));
    }

    @Test
    void whilePageRequestsAreOffADeviceIsToldThatItMayNot() {
        unit.writeRegister64(CONTROL, ON & ~(1 << 15));
        assertRefused();
    }

    @Test
    void aDeviceWithoutAnEntryMayNotAsk() {
        bed.entry(DEVICE, 0, 0);
        assertRefused();
    }

    @Test
    void pprOfTheEntryDecidesOnAUnitWithEnhancedHandlingAlone() {
        guest.attach(0, 0);
        ask(true, 1);
        bed.drain();
        assertThat(logged()).hasSize(1);
        open(PPR_SUP | ENHANCED);
        ask(true, 1);
        bed.drain();
        assertThat(logged()).hasSize(1);
        unit.writeRegister64(HEAD, 16);
        guest.attach(GPRP, 0);
        assertRefused();
    }

    @ParameterizedTest(name = "{0} {1}")
    @CsvSource({
        "0x700abcde00000110, 0x000001ff00000004, 0110 pasid abcde group 511: 0",
        "0x700abcde00000110, 0x000010ff00000004, 0110 pasid abcde group 255: 1",
        "0x700abcde00000110, 0x0000f00000000004, 0110 pasid abcde group 0: 15",
        "0x7000000000000110, 0x0000000300000000, 0110 pasid ffffffff group 3: 0"
    })
    void aCompletionIsSentToItsDevice(String word0, String word1, String response) {
        bed.command(Long.decode(word0), Long.decode(word1));
        assertThat(responses()).containsExactly(response);
    }

    @Test
    void aCompletionCarriesNoPasidWhereTheEntryDoesNotSaySo() {
        guest.attach(PPR, 0);
        bed.command(0x700abcde00000110L, 0x0000000300000004L);
        assertThat(responses()).containsExactly("0110 pasid ffffffff group 3: 0");
    }

    @ParameterizedTest
    @CsvSource({"0x700abcde00010110, 0x4", "0x700abcde00000110, 0x0000020000000004", "0x700abcde00000110, 0x5"})
    void reservedBitsInACompletionStopTheBuffer(String word0, String word1) {
        bed.command(Long.decode(word0), Long.decode(word1));
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x5000000000000000L, TestBed.COMMANDS));
        assertThat(responses()).isEmpty();
    }

    @Test
    void requestsThatADeviceSentComeBeforeItsAnswerToAnInvalidationAndNotBeforeAWait() {
        bed.fabric.answer = InvalidationAnswer.DONE;
        ask(true, 1);
        long tail = bed.queue(0x1000000000000001L | TestBed.STORE, 77, 0);
        unit.writeRegister64(0x2008, tail);
        unit.step();
        assertThat(bed.memory.load(TestBed.STORE)).isEqualTo(77);
        assertThat(logged()).as("late").isEmpty();
        unit.writeRegister64(0x2008, bed.queue(0x4000011000000110L, 0x1000, tail));
        unit.step();
        assertThat(logged()).hasSize(1);
    }

    @Test
    void theLogCantBeMovedWhileItRunsAndABaseResetsItsPointers() {
        ask(true, 1);
        bed.drain();
        unit.writeRegister64(0x38, 0x0800000000a00000L);
        unit.writeRegister64(TAIL, 0x40);
        assertThat(unit.readRegister64(0x38)).isEqualTo(0x0800000000000000L | LOG);
        assertThat(unit.readRegister64(TAIL)).isEqualTo(16);
        unit.writeRegister64(CONTROL, 0);
        assertThat(unit.readRegister64(STATUS) & RUNNING).isZero();
        unit.writeRegister64(0x38, 0x0800000000a00000L);
        assertThat(unit.readRegister64(TAIL)).isZero();
    }

    @Test
    void aUnitWithoutPageRequestsHasNoneOfIt() {
        open(0);
        ask(true, 1);
        assertThat(unit.step()).isFalse();
        assertThat(unit.readRegister64(STATUS) & RUNNING).isZero();
        bed.command(0x7000000000000110L, 0);
        assertThat(responses()).isEmpty();
    }

    @Test
    void whatHasArrivedIsPartOfTheState() {
        long before = digest();
        ask(true, 1);
        assertThat(digest()).isNotEqualTo(before);
        unit.reset();
        assertThat(unit.step()).isFalse();
    }

    private long digest() {
        StateDigest digest = new StateDigest();
        unit.addTo(digest);
        return digest.value();
    }
}
