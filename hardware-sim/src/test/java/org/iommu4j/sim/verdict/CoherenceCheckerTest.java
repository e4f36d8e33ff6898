// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.verdict;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.sim.verdict.Bench.NEIGHBOUR;
import static org.iommu4j.sim.verdict.Bench.WORD;

import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What is coherent, corrupted and leaked, what is counted, and what is said of it. {@link BlameTest} has who is to
 * blame.
 */
class CoherenceCheckerTest {
    private static final String CPU = "";

    private final Bench bench = new Bench();

    private void assertCoherent() {
        Findings findings = bench.check();
        assertThat(findings.verdict()).as("%s", findings).isEqualTo(Verdict.COHERENT);
        assertThat(findings.blame()).isNull();
        assertThat(findings.staleReads()).isEmpty();
    }

    // Verdicts.

    @Test
    void snoopedTrafficIsCoherentAndCountsAsNoNoSnoop() {
        bench.store(CPU, WORD, 1);
        assertThat(bench.gpu.read(WORD, false)).isEqualTo(1);
        bench.gpu.write(WORD, 2, false);
        assertThat(bench.load(CPU, WORD)).isEqualTo(2);
        assertCoherent();
        assertThat(bench.check().noSnoopSent()).isZero();
    }

    @Test
    void flushedNoSnoopTrafficIsCoherentAndCounted() {
        bench.storeToMemory(CPU, WORD, 1);
        assertThat(bench.gpu.read(WORD, true)).isEqualTo(1);
        assertCoherent();
        Findings findings = bench.check();
        assertThat(findings.noSnoopSent()).isEqualTo(1);
        assertThat(findings.noSnoopPassed()).isEqualTo(1);
        assertThat(findings.noSnoopBlocked()).isZero();
    }

    @Test
    void aDeviceThatReadsPastADirtyLineSeesCorruption() {
        int store = bench.store(CPU, WORD, 1);
        bench.gpu.read(WORD, true);
        int read = bench.trace.size() - 1;
        assertThat(bench.check().verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(bench.onlyStaleRead())
                .isEqualTo(new StaleRead(
                        read * 10,
                        "0000:01:00.0",
                        WORD,
                        1,
                        0,
                        Blame.HOST,
                        false,
                        "cpu0's value of " + store * 10 + " was still in a cache; 0000:01:00.0 read past the caches"));
    }

    @Test
    void aCpuThatReadsAnOldLineSeesCorruption() {
        bench.storeToMemory(CPU, WORD, 1);
        bench.load(CPU, WORD);
        bench.secondGpu.write(WORD, 2, true);
        int write = bench.trace.size() - 1;
        bench.load(CPU, WORD);
        StaleRead read = bench.onlyStaleRead();
        assertThat(read.observed()).isEqualTo(1);
        assertThat(read.why())
                .isEqualTo("0000:02:00.0 wrote at " + write * 10
                        + " past the caches; cpu0 read an older line from a cache");
    }

    @Test
    void aDirtyLineThatIsWrittenBackOverADevicesWordIsFoundByItsReader() {
        bench.store(CPU, NEIGHBOUR, 1);
        bench.secondGpu.write(WORD, 2, true);
        int write = bench.trace.size() - 1;
        bench.cpu.clflush(WORD);
        bench.secondGpu.read(WORD, true);
        assertThat(bench.check().staleReads().get(0).why())
                .isEqualTo("a dirty line was written back over the data that 0000:02:00.0 wrote at " + write * 10
                        + " past the caches");
    }

    @Test
    void wrongMemoryAtTheEndSaysWhoWroteAndWhatCoversIt() {
        int store = bench.store(CPU, NEIGHBOUR, 1);
        bench.secondGpu.write(WORD, 2, true);
        int write = bench.trace.size() - 1;
        assertThat(bench.onlyStaleRead())
                .isEqualTo(new StaleRead(
                        (write + 1) * 10,
                        "memory",
                        WORD,
                        2,
                        0,
                        Blame.HOST,
                        false,
                        "a dirty line, last stored to at " + store * 10
                                + ", was written back over the data that 0000:02:00.0 wrote at " + write * 10));
    }

    /** Only broken caches lose a store, or memory a device's write. */
    @Test
    void whatNeverReachesMemoryIsFoundThere() {
        bench.trace.cpu(TraceKind.STORE, 0, WORD, 9, 0);
        bench.trace.dma(TraceKind.DMA_WRITE, "0000:02:00.0", 0x0200, WORD + 64, WORD + 64, 8, 0, 0);
        Findings findings = bench.check();
        assertThat(findings.blame()).isEqualTo(Blame.HOST);
        assertThat(findings.staleReads())
                .extracting(StaleRead::why)
                .containsExactly(
                        "the data that cpu0 wrote at 0 never reached memory",
                        "the data that 0000:02:00.0 wrote at 10 never reached memory");
    }

    @Test
    void aValueThatNobodyWroteIsSaidToBeSo() {
        bench.unseen(WORD, 6);
        bench.load("vcpu0", WORD);
        StaleRead read = bench.onlyStaleRead();
        assertThat(read.expected()).isZero();
        assertThat(read.observed()).isEqualTo(6);
        assertThat(read.blame()).isEqualTo(Blame.HOST);
        assertThat(read.why()).isEqualTo("vcpu0 saw a value that was never written");
    }

    @Test
    void aCpuThatMissesAnothersStoreIsSaidToHaveDoneSo() {
        bench.trace.cpu(TraceKind.STORE, 1, WORD, 9, 0);
        bench.load(CPU, WORD);
        assertThat(bench.check().staleReads().get(0).why()).isEqualTo("cpu0 did not see the data that cpu1 wrote at 0");
    }

    // What a unit does, and what is refused.

    @ParameterizedTest
    @ValueSource(ints = {0, 4})
    void aUnitThatWritesHalfAWordLeavesTheOtherHalf(int half) {
        bench.store(CPU, WORD, 0x1111_1111_2222_2222L);
        bench.trace.unit(TraceKind.UNIT_WRITE, "unit", WORD + half, 0x9876_5432L, Trace.HALF);
        long whole = half == 0 ? 0x1111_1111_9876_5432L : 0x9876_5432_2222_2222L;
        bench.unseen(WORD, whole);
        assertThat(bench.load(CPU, WORD)).isEqualTo(whole);
        assertCoherent();
    }

    /** Else what only a unit wrote, such as a status that its driver polls, would be compared with nothing. */
    @Test
    void aUnitsWriteCounts() {
        bench.trace.unit(TraceKind.UNIT_WRITE, "dmar0", WORD, 5, Trace.UNSNOOPED);
        bench.load(CPU, WORD);
        Findings findings = bench.check();
        assertThat(findings.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(findings.staleReads().get(0).expected()).isEqualTo(5);
        assertThat(findings.noSnoopSent())
                .as("a unit sends no no-snoop requests")
                .isZero();
        assertThat(findings.noSnoopPassed()).isZero();
    }

    @Test
    void whatARefusedRequestWouldHaveDoneDoesNotCount() {
        long nowhere = 1L << 44;
        bench.gpu.write(nowhere, 1, true);
        bench.gpu.read(nowhere, true);
        bench.trace.unit(TraceKind.UNIT_WRITE, "dmar0", nowhere + 64, 5, Trace.FAULT);
        assertCoherent();
        Findings findings = bench.check();
        assertThat(findings.noSnoopSent()).isEqualTo(2);
        assertThat(findings.noSnoopPassed()).isZero();
    }

    @Test
    void aBlockedRequestIsCountedAsSentAndBlocked() {
        bench.trace.dma(
                TraceKind.DMA_READ,
                "0000:01:00.0",
                0x0100,
                WORD,
                WORD,
                0,
                Trace.NO_SNOOP_SENT | Trace.NO_SNOOP_BLOCKED,
                0);
        Findings findings = bench.check();
        assertThat(findings.noSnoopSent()).isEqualTo(1);
        assertThat(findings.noSnoopBlocked()).isEqualTo(1);
        assertThat(findings.noSnoopPassed()).isZero();
    }

    // Leaks.

    @Test
    void anotherOwnersOldDataThatADeviceStillSeesIsALeak() {
        bench.storeToMemory(CPU, WORD, 0x5ec2e7);
        bench.store(CPU, WORD, 0);
        assertThat(bench.gpu.read(WORD, true)).isEqualTo(0x5ec2e7);
        assertThat(bench.check().verdict()).isEqualTo(Verdict.LEAKED);
    }

    @Test
    void oneGuestsDataThatAnotherStillSeesIsALeakByTheHost() {
        int secret = bench.store("vm1.vcpu0", WORD, 0x5ec2e7);
        bench.cpu.clflush(WORD);
        bench.store(CPU, WORD, 0);
        assertThat(bench.gpu.read(WORD, true)).isEqualTo(0x5ec2e7);
        Findings findings = bench.check();
        assertThat(findings.verdict()).isEqualTo(Verdict.LEAKED);
        assertThat(findings.blame()).isEqualTo(Blame.HOST);
        assertThat(findings.staleReads().get(0).leaked()).isTrue();
        assertThat(findings.staleReads().get(0).why()).endsWith("; it saw data of vm1, written at " + secret * 10);
    }

    /** It should have flushed its own store; but that what it sees then is another's data is not its doing. */
    @Test
    void aLeakIsTheHostsFaultThoughTheGuestForgotToFlush() {
        bench.storeToMemory("vm1.vcpu0", WORD, 0x5ec2e7);
        bench.store("vcpu0", WORD, 5);
        assertThat(bench.gpu.read(WORD, true)).isEqualTo(0x5ec2e7);
        Findings findings = bench.check();
        assertThat(findings.verdict()).isEqualTo(Verdict.LEAKED);
        assertThat(findings.blame()).isEqualTo(Blame.HOST);
    }

    @Test
    void zerosThatAnotherOwnerWroteAreNobodysData() {
        bench.storeToMemory(CPU, WORD, 7);
        bench.storeToMemory(CPU, WORD, 0);
        bench.store("vcpu0", WORD, 5);
        assertThat(bench.gpu.read(WORD, true)).isZero();
        assertThat(bench.onlyStaleRead().leaked()).isFalse();
        assertThat(bench.check().verdict()).isEqualTo(Verdict.CORRUPTED);
    }

    @Test
    void ownOldDataIsCorruptionButNoLeak() {
        bench.gpu.write(WORD, 7, false);
        bench.store(CPU, WORD, 8);
        assertThat(bench.gpu.read(WORD, true)).isEqualTo(7);
        assertThat(bench.check().verdict()).isEqualTo(Verdict.CORRUPTED);
    }

    @Test
    void aValueIsThatOfItsLastWriter() {
        bench.storeToMemory("vm1.vcpu0", WORD, 7);
        bench.storeToMemory("vcpu0", WORD, 6);
        bench.storeToMemory("vcpu0", WORD, 7);
        bench.store("vcpu0", WORD, 8);
        assertThat(bench.gpu.read(WORD, true)).isEqualTo(7);
        assertThat(bench.check().verdict())
                .as("written anew by the reader's own")
                .isEqualTo(Verdict.CORRUPTED);
    }

    @Test
    void aValueThatAnotherWroteAfterTheReadersOwnIsALeak() {
        bench.storeToMemory("vcpu0", WORD, 7);
        bench.storeToMemory("vm1.vcpu0", WORD, 7);
        bench.store("vcpu0", WORD, 8);
        assertThat(bench.gpu.read(WORD, true)).isEqualTo(7);
        assertThat(bench.check().verdict()).isEqualTo(Verdict.LEAKED);
    }

    @Test
    void oneLeakAmongOtherStaleReadsMakesTheVerdict() {
        bench.store("vcpu0", WORD + 64, 1);
        bench.gpu.read(WORD + 64, true);
        bench.storeToMemory("vm1.vcpu0", WORD, 0x5ec2e7);
        bench.store(CPU, WORD, 0);
        bench.gpu.read(WORD, true);
        Findings findings = bench.check();
        assertThat(findings.staleReads()).extracting(StaleRead::leaked).containsExactly(false, true);
        assertThat(findings.verdict()).isEqualTo(Verdict.LEAKED);
    }
}
