// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The page request queue, its registers and event, and the answers, in words from the manual. */
class VtdPageRequestTest {
    private static final int PQH = 0xc0;
    private static final int PQT = 0xc8;
    private static final int PQA = 0xd0;
    private static final int PRS = 0xdc;
    private static final int PECTL = 0xe0;
    private static final int PPR = 1;
    private static final int PRO = 2;
    private static final int IM = 1 << 31;
    private static final int IP = 1 << 30;

    private static final long QUEUE = 0x40000;
    private static final int DEVICE = Bench.DEVICE;
    private static final int PASID = 5;
    private static final int NO_PASID = TranslationUnit.NO_PASID;
    private static final long PAGE = 0x7000_1000L;
    private static final long WAIT = 1L << 32 | 0x25;
    private static final long WAIT_AND_DRAIN = WAIT | 0x80;

    /** PASIDE, PRE, DTE, P. */
    private static final long CONTEXT = ScalableBench.DIRECTORY | 0x1d;

    private final ScalableBench bench = new ScalableBench();
    private final TranslationUnit unit = bench.unit;
    private final RecordingFabric fabric = bench.bench.fabric;

    VtdPageRequestTest() {
        bench.secondStage();
        bench.put(Bench.CONTEXT, CONTEXT);
        bench.on();
        unit.writeRegister64(PQA, QUEUE);
    }

    private void ask(long page, boolean last, int group) {
        unit.requestPage(DEVICE, PASID, page, RequestFlags.READ | (last ? RequestFlags.LAST : 0), group);
    }

    private void run() {
        bench.bench.run();
    }

    /** The descriptors from the head to the tail, without their last two words, which are 0. */
    private List<String> queued() {
        List<String> queued = new ArrayList<>();
        for (long at = unit.readRegister64(PQH); at != unit.readRegister64(PQT); at = (at + 32) % 4096) {
            queued.add(String.format("%x %x", bench.get(QUEUE + at), bench.get(QUEUE + at + 8)));
            assertThat(bench.get(QUEUE + at + 16) | bench.get(QUEUE + at + 24)).isZero();
        }
        return queued;
    }

    @Test
    void aRequestIsWrittenToTheQueueSnooped() {
        bench.put(QUEUE + 16, -1L);
        fabric.recording = true;
        unit.requestPage(DEVICE, 0x1cde, PAGE, RequestFlags.READ | RequestFlags.WRITE | RequestFlags.LAST, 0x1ff);
        assertThat(queued()).as("not before a step").isEmpty();
        run();
        assertThat(queued()).containsExactly("1cde02000101 70001fff");
        assertThat(fabric.accesses)
                .containsSequence(
                        "write 0x40000 snooped",
                        "write 0x40008 snooped",
                        "write 0x40010 snooped",
                        "write 0x40018 snooped");
        assertThat(unit.readRegister32(PRS)).isEqualTo(PPR);
        unit.requestPage(DEVICE, NO_PASID, PAGE + 0x1000, RequestFlags.WRITE, 2);
        run();
        assertThat(queued()).hasSize(2).last().isEqualTo("2000001 70002012");
        assertThat(fabric.responses).isEmpty();
    }

    @Test
    void aRequestSaysThatItWantsToExecuteAndIsPrivileged() {
        unit.requestPage(
                DEVICE,
                3,
                PAGE,
                RequestFlags.READ | RequestFlags.EXECUTE | RequestFlags.LAST | RequestFlags.PRIVILEGED,
                4);
        run();
        unit.requestPage(DEVICE, 3, PAGE, RequestFlags.READ | RequestFlags.EXECUTE | RequestFlags.LAST, 5);
        run();
        assertThat(queued()).containsExactly("30000302000101 70001025", "10000302000101 7000102d");
    }

    @Test
    void theQueueIsARing() {
        for (int i = 0; i < 300; i++) {
            ask(i * 0x1000L, true, i);
            run();
            assertThat(queued()).hasSize(1).first().asString().endsWith(String.format(" %x", i * 0x1000L | i << 3 | 5));
            unit.writeRegister64(PQH, unit.readRegister64(PQT));
        }
    }

    @Test
    void aFullQueueLosesRequestsAndHasDevicesTryAgainUntilSoftwareClearsTheOverflow() {
        for (int i = 0; i < 127; i++) {
            ask(PAGE, i % 2 == 1, i);
        }
        run();
        assertThat(unit.readRegister32(PRS)).as("full").isEqualTo(PPR);
        ask(PAGE, false, 127);
        run();
        assertThat(unit.readRegister32(PRS)).isEqualTo(PPR | PRO);
        assertThat(fabric.responses).as("not the last of its group").isEmpty();
        ask(PAGE, true, 127);
        run();
        assertThat(fabric.responses).containsExactly("0200 pasid 5 group 127: 0");
        assertThat(queued()).hasSize(127);

        unit.writeRegister64(PQH, unit.readRegister64(PQT));
        ask(PAGE, true, 128);
        run();
        assertThat(queued()).as("room, but PRO is set").isEmpty();
        assertThat(fabric.responses).hasSize(2);
        unit.writeRegister32(PRS, PRO);
        assertThat(unit.readRegister32(PRS)).isEqualTo(PPR);
        ask(PAGE, true, 129);
        run();
        assertThat(queued()).hasSize(1);
        assertThat(fabric.responses).hasSize(2);
        assertThat(bench.bench.fsts()).as("PRO of FSTS").isZero();
    }

    @Test
    void theQueueIsAsLargeAsPqsSays() {
        unit.writeRegister64(PQA, QUEUE | 1);
        for (int i = 0; i < 255; i++) {
            ask(PAGE, true, i);
        }
        run();
        assertThat(unit.readRegister64(PQT)).isEqualTo(255 * 32);
        assertThat(unit.readRegister32(PRS)).isEqualTo(PPR);
        ask(PAGE, true, 300);
        run();
        assertThat(unit.readRegister32(PRS)).isEqualTo(PPR | PRO);
    }

    @Test
    void theEventIsPendingWhileMaskedAndRaisedOncePerService() {
        assertThat(unit.readRegister32(PECTL)).isEqualTo(IM);
        ask(PAGE, true, 1);
        run();
        assertThat(unit.readRegister32(PECTL)).isEqualTo(IM | IP);
        unit.writeRegister32(PRS, PPR);
        assertThat(unit.readRegister32(PECTL)).as("serviced").isEqualTo(IM);
        ask(PAGE, true, 2);
        run();
        unit.writeRegister32(PECTL, 0);
        assertThat(unit.readRegister32(PECTL)).as("sent").isZero();
        unit.writeRegister32(PECTL, IM);
        ask(PAGE, true, 3);
        run();
        assertThat(unit.readRegister32(PECTL)).as("PPR was set already").isEqualTo(IM);
    }

    @ParameterizedTest
    @CsvSource({
        "0xc0, 7ffe0",
        "0xc8, 7ffe0",
        "0xd0, fffffffffffff007",
        "0xd8, 0",
        "0xe0, ffffffff80000000",
        "0xe8, fffffffffffffffc"
    })
    void aRegisterTakesItsWritableBits(int offset, String after) {
        unit.writeRegister64(offset, -1L);
        assertThat(Long.toHexString(unit.readRegister64(offset))).isEqualTo(after);
        unit.reset();
        assertThat(unit.readRegister64(offset)).isEqualTo(offset == PECTL ? 0x80000000L : 0);
    }

    @Test
    void halvesOfARegisterAreWrittenApart() {
        unit.writeRegister32(0xe4, 0x1234);
        unit.writeRegister32(0xe8, 0xfee00000);
        unit.writeRegister32(0xec, 0x5678);
        unit.writeRegister32(0xd4, 9);
        assertThat(unit.readRegister32(PECTL)).isEqualTo(IM);
        assertThat(unit.readRegister32(0xe4)).isEqualTo(0x1234);
        assertThat(unit.readRegister64(0xe8)).isEqualTo(0x5678fee00000L);
        assertThat(unit.readRegister64(PQA)).isEqualTo(9L << 32 | QUEUE);
    }

    @Test
    void aUnitWithoutPageRequestsHasNoneOfIt() {
        ScalableBench without = new ScalableBench(ScalableBench.CAP, ScalableBench.ECAP & ~(1L << 29));
        without.secondStage().on();
        for (int offset = PQH; offset <= 0xe8; offset += 8) {
            without.unit.writeRegister64(offset, -1L);
            assertThat(without.unit.readRegister64(offset)).isZero();
        }
        without.unit.requestPage(DEVICE, PASID, PAGE, RequestFlags.READ | RequestFlags.LAST, 1);
        assertThat(without.unit.step()).isFalse();
        without.invalidate(5L << 32 | 0x02000019, 8);
        assertThat(without.bench.fsts()).as("IQE").isEqualTo(0x10);
        assertThat(without.bench.fabric.responses).isEmpty();
    }

    @Test
    void whoMayNotAskIsToldSoAndTheFaultIsRecorded() {
        bench.put(Bench.CONTEXT, CONTEXT & ~0x10);
        ask(PAGE, false, 4);
        run();
        assertThat(fabric.responses).as("not the last of its group").isEmpty();
        ask(PAGE, true, 4);
        run();
        assertThat(queued()).isEmpty();
        assertThat(fabric.responses).containsExactly("0200 pasid 5 group 4: 1");
        assertThat(bench.bench.recordedReasons()).containsExactly(0x47, 0x47);
        // F, page request (T1 0, T2 1), PASID 5 present.
        assertThat(Long.toHexString(unit.readRegister64(Bench.FRCD + 8))).isEqualTo("8000054790000200");
        assertThat(unit.readRegister64(Bench.FRCD)).isEqualTo(PAGE);
    }

    @ParameterizedTest(name = "context {0}: reason {1}")
    @CsvSource({"0x8014, 0x40", "0x8015, 0x45", "0x8031, 0x42"})
    void aContextThatIsNotUsableRefuses(long context, int reason) {
        bench.put(Bench.CONTEXT, context);
        ask(PAGE, true, 4);
        run();
        assertThat(fabric.responses).containsExactly("0200 pasid 5 group 4: 1");
        assertThat(bench.bench.recordedReasons()).containsExactly(reason == 0x40 ? 0x41 : reason);
    }

    @Test
    void aPasidBeyondTheDirectoryRefuses() {
        unit.requestPage(DEVICE, 1 << 13, PAGE, RequestFlags.READ | RequestFlags.LAST, 4);
        run();
        assertThat(fabric.responses).containsExactly("0200 pasid 2000 group 4: 1");
        assertThat(bench.bench.recordedReasons()).containsExactly(0x46);
    }

    @Test
    void withoutTranslationNobodyMayAskAndNoFaultIsRecorded() {
        bench.bench.command(Bench.QIE);
        ask(PAGE, true, 4);
        run();
        assertThat(fabric.responses).containsExactly("0200 pasid 5 group 4: 1");
        assertThat(bench.bench.recordedReasons()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(ints = {PASID, NO_PASID})
    void inLegacyModeNobodyMayAskAndTheFaultIsRecordedWhateverFpdSays(int pasid) {
        bench.put(Bench.CONTEXT, CONTEXT | 2);
        unit.writeRegister64(Bench.RTADDR, Bench.ROOT);
        bench.bench.command(Bench.SRTP | Bench.TE | Bench.QIE);
        unit.requestPage(DEVICE, pasid, PAGE, RequestFlags.READ | RequestFlags.LAST, 4);
        run();
        assertThat(queued()).isEmpty();
        assertThat(fabric.responses).containsExactly("0200 pasid " + Integer.toHexString(pasid) + " group 4: 1");
        assertThat(bench.bench.recordedReasons()).containsExactly(0x32);
        // F, page request (T1 0, T2 1), with the PASID if there is one.
        assertThat(Long.toHexString(unit.readRegister64(Bench.FRCD + 8)))
                .isEqualTo(pasid == PASID ? "8000053290000200" : "8000003210000200");
        assertThat(unit.readRegister64(Bench.FRCD)).isEqualTo(PAGE);
    }

    @Test
    void aContextEntryIsCachedForPageRequestsToo() {
        ask(PAGE, true, 1);
        run();
        bench.put(Bench.CONTEXT, CONTEXT & ~0x10);
        ask(PAGE, true, 2);
        run();
        assertThat(queued()).as("stale").hasSize(2);
        bench.invalidate(0x11, 0);
        ask(PAGE, true, 3);
        run();
        assertThat(queued()).hasSize(2);
    }

    @Test
    void aResponseDescriptorIsSentToItsDevice() {
        bench.invalidate(0xabcdeL << 32 | 0x02000019, 0x1ffL << 3 | 4);
        bench.invalidate(0x02001009, 0x10);
        bench.invalidate(0x0200f009, 0x10);
        assertThat(fabric.responses)
                .containsExactly(
                        "0200 pasid abcde group 511: 0",
                        "0200 pasid ffffffff group 2: 1",
                        "0200 pasid ffffffff group 2: 15");
    }

    @ParameterizedTest(name = "{0} {1}: IQEI {2}")
    @CsvSource({
        "0x02000029, 0x8, 4",
        "0x02000109, 0x8, 4",
        "0x02002009, 0x8, 4",
        "0x02000009, 0x1, 4",
        "0x02000009, 0x1000, 4",
        "0x0010000002000009, 0x8, 4"
    })
    void aMalformedResponseStopsTheQueue(String low, long high, int error) {
        bench.invalidate(Long.decode(low), high);
        assertThat(bench.bench.fsts()).isEqualTo(0x10);
        assertThat(unit.readRegister64(Bench.IQERCD)).isEqualTo(error);
        assertThat(fabric.responses).isEmpty();
    }

    @Test
    void aWaitThatDrainsCompletesAfterTheRequestsThatHaveArrived() {
        ask(PAGE, true, 1);
        bench.queue(WAIT, Bench.STATUS);
        unit.step();
        assertThat(bench.get(Bench.STATUS)).isEqualTo(1);
        assertThat(queued()).as("late").isEmpty();

        bench.put(Bench.STATUS, 0);
        ask(PAGE, true, 2);
        bench.queue(WAIT_AND_DRAIN, Bench.STATUS);
        unit.step();
        assertThat(bench.get(Bench.STATUS)).isEqualTo(1);
        assertThat(queued()).hasSize(2);
    }

    @Test
    void whatHasArrivedIsPartOfTheState() {
        long before = digest();
        ask(PAGE, true, 1);
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
