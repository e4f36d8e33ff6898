// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.verdict;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.platform.MemoryType.UC;
import static org.iommu4j.platform.MemoryType.WB;
import static org.iommu4j.platform.MemoryType.WC;
import static org.iommu4j.platform.MemoryType.WT;
import static org.iommu4j.sim.verdict.Bench.NEIGHBOUR;
import static org.iommu4j.sim.verdict.Bench.WORD;

import org.iommu4j.sim.trace.TraceKind;
import org.junit.jupiter.api.Test;

/** Who broke the contract: a guest that left out its part, or the host. */
class BlameTest {
    private static final String CPU = "";
    private static final String NOT_ASKED = "; the guest's driver asked for no WBINVD in between";

    private final Bench bench = new Bench();

    private void assertGuest(StaleRead read, String words) {
        assertThat(read.why()).endsWith(words);
        assertThat(read.blame()).isEqualTo(Blame.GUEST_DRIVER);
    }

    private void assertHost(StaleRead read, String words) {
        assertThat(read.why()).endsWith(words);
        assertThat(read.blame()).isEqualTo(Blame.HOST);
    }

    private static String storedBefore(int store) {
        return "; the guest's driver had stored to the line at " + store * 10
                + " and asked for no WBINVD before that write";
    }

    private static String inVain(int wbinvd) {
        return "; the guest's WBINVD at " + wbinvd * 10 + " did not reach the line";
    }

    // The CPU writes, the device reads.

    @Test
    void aGuestThatDoesNotFlushWhatItsDeviceReadsIsToBlame() {
        bench.store("vcpu0", WORD, 1);
        bench.gpu.read(WORD, true);
        assertGuest(bench.onlyStaleRead(), NOT_ASKED);
        assertThat(bench.check().blame()).isEqualTo(Blame.GUEST_DRIVER);
    }

    @Test
    void aGuestThatAskedForAFlushInVainIsNotToBlame() {
        bench.store("vcpu0", WORD, 1);
        int wbinvd = bench.wbinvdInVain("vcpu0");
        bench.gpu.read(WORD, true);
        assertHost(bench.onlyStaleRead(), inVain(wbinvd));
    }

    @Test
    void aGuestThatForgetsTheFenceAfterWriteCombiningIsToBlame() {
        int store = bench.store("vcpu0", WORD, 1, WC, WC);
        bench.gpu.read(WORD, true);
        StaleRead read = bench.onlyStaleRead();
        assertGuest(read, "; the guest's driver had no fence in between");
        assertThat(read.why()).startsWith("vcpu0's value of " + store * 10 + " was still in a write-combining buffer");
    }

    @Test
    void afterTheFenceADeviceSeesWhatWasCombined() {
        bench.store("vcpu0", WORD, 1, WC, WC);
        bench.cpu.sfence();
        bench.gpu.read(WORD, true);
        assertThat(bench.check().staleReads()).isEmpty();
    }

    @Test
    void aHostThatMakesWriteCombiningMemoryWriteBackIsToBlame() {
        bench.store("vcpu0", WORD, 1, WB, WC);
        bench.gpu.read(WORD, true);
        assertHost(bench.onlyStaleRead(), "; the guest had mapped it uncached");
    }

    @Test
    void aGuestThatLoadsWriteThroughMemoryWithoutAFlushIsToBlame() {
        bench.load("vcpu0", WORD, WT, WT);
        bench.gpu.write(WORD, 1, true);
        bench.load("vcpu0", WORD, WT, WT);
        assertGuest(bench.onlyStaleRead(), NOT_ASKED);
    }

    @Test
    void whatWasStoredWriteThroughIsInMemory() {
        bench.store("vcpu0", WORD, 1, WT, WT);
        bench.gpu.read(WORD, true);
        bench.gpu.write(NEIGHBOUR, 2, true);
        assertThat(bench.check().staleReads()).isEmpty();
    }

    @Test
    void aFlushBeforeTheWriteDoesNotExcuse() {
        bench.wbinvdInVain("vcpu0");
        bench.store("vcpu0", WORD, 1);
        bench.gpu.read(WORD, true);
        assertGuest(bench.onlyStaleRead(), NOT_ASKED);
    }

    @Test
    void aFlushAfterTheStaleReadDoesNotExcuse() {
        bench.store("vcpu0", WORD, 1);
        bench.gpu.read(WORD, true);
        bench.wbinvdInVain("vcpu0");
        assertGuest(bench.onlyStaleRead(), NOT_ASKED);
    }

    /** WBINVD empties the caches of the CPU that executes it; a guest's driver has to execute it where it stored. */
    @Test
    void aFlushOnAnotherVcpuDoesNotExcuse() {
        bench.store("vcpu0", WORD, 1);
        bench.wbinvdInVain("vcpu1");
        bench.gpu.read(WORD, true);
        assertGuest(bench.onlyStaleRead(), NOT_ASKED);
    }

    @Test
    void whereSeveralVcpusFlushTheOneThatTakesPartCounts() {
        bench.store("vcpu0", WORD, 1);
        bench.wbinvdInVain("vcpu1");
        int wbinvd = bench.wbinvdInVain("vcpu0");
        bench.gpu.read(WORD, true);
        assertHost(bench.onlyStaleRead(), inVain(wbinvd));
    }

    // The device writes, the CPU reads.

    @Test
    void aGuestThatDoesNotDropTheOldLineIsToBlame() {
        bench.load("vcpu0", WORD);
        bench.gpu.write(WORD, 2, true);
        bench.load("vcpu0", WORD);
        assertGuest(bench.onlyStaleRead(), "read an older line from a cache" + NOT_ASKED);
    }

    @Test
    void aGuestThatAskedInVainToDropTheOldLineIsNotToBlame() {
        bench.load("vcpu0", WORD);
        bench.gpu.write(WORD, 2, true);
        int wbinvd = bench.wbinvdInVain("vcpu0");
        bench.load("vcpu0", WORD);
        assertHost(bench.onlyStaleRead(), inVain(wbinvd));
    }

    @Test
    void theVcpuThatReadsHasToDropTheOldLine() {
        bench.load("vcpu0", WORD);
        bench.gpu.write(WORD, 2, true);
        bench.wbinvdInVain("vcpu1");
        bench.load("vcpu0", WORD);
        assertGuest(bench.onlyStaleRead(), NOT_ASKED);
    }

    /** WBINVD works here, and writes the guest's own line over what the device wrote. */
    @Test
    void aGuestThatFlushesItsStoreOnlyAfterTheDevicesWriteIsToBlameHoweverWellTheHostFlushes() {
        int store = bench.store("vcpu0", WORD, 1);
        bench.gpu.write(WORD, 2, true);
        bench.wbinvdInVain("vcpu0");
        bench.cpu.wbinvd();
        bench.load("vcpu0", WORD);
        Findings findings = bench.check();
        assertThat(findings.staleReads()).hasSize(2).allSatisfy(read -> assertGuest(read, storedBefore(store)));
        assertThat(findings.blame()).isEqualTo(Blame.GUEST_DRIVER);
    }

    @Test
    void whatTheVcpuAskedToFlushBeforeTheDevicesWriteIsNotLeftOut() {
        bench.store("vcpu0", WORD, 1);
        bench.wbinvdInVain("vcpu0");
        bench.gpu.write(WORD, 2, true);
        int wbinvd = bench.wbinvdInVain("vcpu0");
        bench.load("vcpu0", WORD);
        assertHost(bench.check().staleReads().get(0), inVain(wbinvd));
    }

    @Test
    void aFlushOnAnotherVcpuLeavesTheStoreUnflushed() {
        int store = bench.store("vcpu0", WORD, 1);
        bench.wbinvdInVain("vcpu1");
        bench.gpu.write(WORD, 2, true);
        bench.wbinvdInVain("vcpu0");
        bench.load("vcpu0", WORD);
        assertGuest(bench.check().staleReads().get(0), storedBefore(store));
    }

    @Test
    void aStoreThatClflushBroughtToMemoryIsNotLeftOut() {
        bench.storeToMemory("vcpu0", WORD, 1);
        bench.load("vcpu0", WORD);
        bench.gpu.write(WORD, 2, true);
        int wbinvd = bench.wbinvdInVain("vcpu0");
        bench.load("vcpu0", WORD);
        assertHost(bench.onlyStaleRead(), inVain(wbinvd));
    }

    @Test
    void aStoreThatReachedMemoryByItselfIsNotLeftOut() {
        bench.store("vcpu0", WORD, 1);
        bench.machine.evict(0, WORD);
        bench.load("vcpu0", WORD);
        bench.gpu.write(WORD, 2, true);
        int wbinvd = bench.wbinvdInVain("vcpu0");
        bench.load("vcpu0", WORD);
        assertHost(bench.onlyStaleRead(), inVain(wbinvd));
    }

    @Test
    void aStoreToAnotherLineIsNoneToThisOne() {
        bench.store("vcpu0", WORD + 64, 1);
        bench.load("vcpu0", WORD);
        bench.gpu.write(WORD, 2, true);
        int wbinvd = bench.wbinvdInVain("vcpu0");
        bench.load("vcpu0", WORD);
        assertHost(bench.onlyStaleRead(), inVain(wbinvd));
    }

    // Memory at the end.

    @Test
    void aStoreOverAnOldLineThatTheGuestDidNotDropIsItsFaultInMemory() {
        bench.load("vcpu0", WORD);
        bench.gpu.write(WORD, 2, true);
        bench.store("vcpu0", NEIGHBOUR, 1);
        assertGuest(bench.onlyStaleRead(), NOT_ASKED);
    }

    @Test
    void aFlushAfterAStoreOverAnOldLineDoesNotExcuse() {
        bench.load("vcpu0", WORD);
        bench.gpu.write(WORD, 2, true);
        bench.store("vcpu0", NEIGHBOUR, 1);
        bench.wbinvdInVain("vcpu0");
        assertGuest(bench.onlyStaleRead(), NOT_ASKED);
    }

    @Test
    void aStoreToALineThatAFlushInVainShouldHaveDroppedIsTheHostsFaultInMemoryToo() {
        bench.load("vcpu0", WORD);
        bench.gpu.write(WORD, 2, true);
        int wbinvd = bench.wbinvdInVain("vcpu0");
        bench.store("vcpu0", NEIGHBOUR, 1);
        StaleRead read = bench.onlyStaleRead();
        assertThat(read.who()).isEqualTo("memory");
        assertHost(read, inVain(wbinvd));
    }

    @Test
    void aStoreThatTheDeviceWroteOverIsTheGuestsFaultInMemory() {
        int store = bench.store("vcpu0", NEIGHBOUR, 1);
        bench.gpu.write(WORD, 2, true);
        bench.wbinvdInVain("vcpu0");
        assertGuest(bench.onlyStaleRead(), storedBefore(store));
    }

    @Test
    void aStoreThatAFlushInVainShouldHaveBroughtToMemoryIsTheHostsFaultThere() {
        bench.store("vcpu0", NEIGHBOUR, 1);
        int wbinvd = bench.wbinvdInVain("vcpu0");
        bench.gpu.write(WORD, 2, true);
        assertHost(bench.onlyStaleRead(), inVain(wbinvd));
    }

    @Test
    void aLineThatTheHostDirtiedAndThatLaterCoversAGuestsWordIsTheHostsFault() {
        bench.store(CPU, NEIGHBOUR, 1);
        bench.load("vcpu0", WORD + 64);
        bench.gpu.write(WORD, 2, true);
        int write = bench.trace.size() - 1;
        assertHost(bench.onlyStaleRead(), "the data that 0000:01:00.0 wrote at " + write * 10);
    }

    @Test
    void aLineThatAGuestDirtiedAndThatLaterCoversTheHostsWordIsTheHostsFault() {
        bench.store("vcpu0", NEIGHBOUR, 1);
        bench.secondGpu.write(WORD, 2, true);
        int write = bench.trace.size() - 1;
        assertHost(bench.onlyStaleRead(), "the data that 0000:02:00.0 wrote at " + write * 10);
    }

    // Types of memory.

    @Test
    void aGuestThatMapsItsStoreUncachedNeedNotFlush() {
        bench.store("vcpu0", WORD, 1, WB, UC);
        bench.gpu.read(WORD, true);
        assertHost(bench.onlyStaleRead(), "; the guest had mapped it uncached");
    }

    @Test
    void aGuestThatMapsItsLoadUncachedNeedNotFlush() {
        bench.load("vcpu0", WORD, WB, UC);
        bench.gpu.write(WORD, 2, true);
        bench.load("vcpu0", WORD, WB, UC);
        assertHost(bench.onlyStaleRead(), "; the guest had mapped it uncached");
    }

    @Test
    void aStoreMappedUncachedIsNotLeftUnflushed() {
        bench.store("vcpu0", WORD, 1, WB, UC);
        bench.gpu.write(WORD, 2, true);
        bench.load("vcpu0", WORD, WB, UC);
        assertThat(bench.check().staleReads())
                .hasSize(2)
                .allSatisfy(read -> assertHost(read, "; the guest had mapped it uncached"));
    }

    /** As where its MTRRs count, up to 6.10: the store went to memory though the guest's PAT is write-back. */
    @Test
    void aStoreThatWentToMemoryIsNotLeftUnflushed() {
        bench.store("vcpu0", WORD, 1, UC, WB);
        bench.load("vcpu0", WORD);
        bench.gpu.write(WORD, 2, true);
        int wbinvd = bench.wbinvdInVain("vcpu0");
        bench.load("vcpu0", WORD);
        assertHost(bench.onlyStaleRead(), inVain(wbinvd));
    }

    /** Without self-snoop a dirty line stays beside an uncached store, and is written back over it. */
    @Test
    void aLineThatTheHostLeftDirtyUnderAnUncachedStoreIsTheHostsFault() {
        Bench aliased = new Bench("intel-no-self-snoop");
        int store = aliased.store(CPU, WORD, 1);
        int uncached = aliased.store("vcpu0", WORD, 2, UC, UC);
        assertHost(aliased.onlyStaleRead(), writtenBackOver(store, uncached));
    }

    @Test
    void aLineThatTheGuestLeftDirtyUnderItsUncachedStoreIsTheGuestsFault() {
        Bench aliased = new Bench("intel-no-self-snoop");
        int store = aliased.store("vcpu0", WORD, 1);
        int uncached = aliased.store("vcpu0", WORD, 2, UC, UC);
        assertGuest(aliased.onlyStaleRead(), writtenBackOver(store, uncached) + NOT_ASKED);
    }

    private static String writtenBackOver(int store, int uncached) {
        return "a dirty line, last stored to at " + store * 10 + ", was written back over the data that vcpu0 wrote at "
                + uncached * 10;
    }

    // Several owners.

    @Test
    void betweenTheHostsOwnCpuAndDeviceNoGuestIsToBlame() {
        bench.load("vcpu0", WORD + 64);
        bench.store(CPU, WORD, 1);
        bench.secondGpu.read(WORD, true);
        assertHost(bench.onlyStaleRead(), "0000:02:00.0 read past the caches");
    }

    @Test
    void whatTheHostStoresForAGuestsDeviceIsTheHostsToFlush() {
        bench.store(CPU, WORD, 1);
        bench.gpu.read(WORD, true);
        assertHost(bench.onlyStaleRead(), "0000:01:00.0 read past the caches");
    }

    @Test
    void whatAGuestStoresForTheHostsDeviceIsTheHostsToFlush() {
        bench.store("vcpu0", WORD, 1);
        bench.secondGpu.read(WORD, true);
        assertHost(bench.onlyStaleRead(), "0000:02:00.0 read past the caches");
    }

    @Test
    void whatOneGuestStoresForAnothersDeviceIsTheHostsToFlush() {
        bench.assignSecondGpu();
        bench.store("vcpu0", WORD, 1);
        bench.secondGpu.read(WORD, true);
        assertHost(bench.onlyStaleRead(), "0000:02:00.0 read past the caches");
    }

    @Test
    void anotherGuestsStoreUnderADevicesWriteIsTheHostsFault() {
        bench.store("vm1.vcpu0", NEIGHBOUR, 1);
        bench.gpu.write(WORD, 2, true);
        int wbinvd = bench.wbinvdInVain("vcpu0");
        bench.load("vcpu0", WORD);
        assertHost(bench.check().staleReads().get(0), inVain(wbinvd));
    }

    /** Had the guest flushed its own store, the host's would still be written back over the device's. */
    @Test
    void aStoreOfTheHostsOverTheGuestsIsTheHostsFault() {
        bench.store("vcpu0", NEIGHBOUR, 1);
        bench.store(CPU, NEIGHBOUR + 8, 1);
        bench.gpu.write(WORD, 2, true);
        int wbinvd = bench.wbinvdInVain("vcpu0");
        bench.load("vcpu0", WORD);
        assertHost(bench.check().staleReads().get(0), inVain(wbinvd));
    }

    @Test
    void aLineThatTheHostLeftDirtyAndThatCoversADevicesWriteIsTheHostsFaultForTheReaderToo() {
        int store = bench.store(CPU, NEIGHBOUR, 1);
        bench.gpu.write(WORD, 2, true);
        bench.cpu.clflush(WORD);
        bench.load("vcpu0", WORD);
        assertHost(bench.check().staleReads().get(0), "; cpu0 had stored to that line at " + store * 10);
    }

    @Test
    void aDevicesWriteThatIsLostIsTheHostsFault() {
        bench.trace.dma(TraceKind.DMA_WRITE, "0000:01:00.0", 0x0100, WORD, WORD, 8, 0, 0);
        assertHost(bench.onlyStaleRead(), "the data that 0000:01:00.0 wrote at 0 never reached memory");
    }

    /** The line that the second device's snooped read finds was taken by some vCPU of the guest. */
    @Test
    void betweenTwoDevicesOfAGuestAnyOfItsVcpusMayHaveFlushed() {
        bench.load("vcpu0", WORD);
        bench.gpu.write(WORD, 2, true);
        int wbinvd = bench.wbinvdInVain("vcpu1");
        bench.gpu.read(WORD, false);
        assertHost(bench.onlyStaleRead(), inVain(wbinvd));
    }

    @Test
    void betweenTwoDevicesOfAGuestAnotherGuestsFlushDoesNotExcuse() {
        bench.load("vcpu0", WORD);
        bench.gpu.write(WORD, 2, true);
        bench.wbinvdInVain("vm1.vcpu0");
        bench.gpu.read(WORD, false);
        assertGuest(bench.onlyStaleRead(), NOT_ASKED);
    }

    @Test
    void oneGuestsFaultDoesNotHideTheHosts() {
        bench.store("vcpu0", WORD, 1);
        bench.gpu.read(WORD, true);
        bench.store(CPU, WORD + 64, 1);
        bench.secondGpu.read(WORD + 64, true);
        Findings findings = bench.check();
        assertThat(findings.staleReads()).extracting(StaleRead::blame).containsExactly(Blame.GUEST_DRIVER, Blame.HOST);
        assertThat(findings.blame()).isEqualTo(Blame.HOST);
    }
}
