// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.sim.memory.Dram;
import org.iommu4j.sim.spi.CacheFeatures;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CacheFeaturesTest {
    private static final long LINE = 0x1000;

    private final Trace trace = new Trace();
    private final Dram dram = new Dram(1 << 16);
    private final CacheHierarchy caches = with(CacheFeatures.ORDINARY);

    private CacheHierarchy with(CacheFeatures features) {
        ProcessorDescription processors = ProcessorDescription.x86(2, HardwareVirtualization.NONE, CacheGeometry.LITMUS)
                .withFeatures(features);
        return new CacheHierarchy(dram, processors, EvictionPolicy.LEAST_RECENTLY_USED, trace);
    }

    @ParameterizedTest
    @ValueSource(ints = {-1, 0, 33})
    void buffersAreOneToThirtyTwo(int buffers) {
        assertThatThrownBy(() -> CacheFeatures.ORDINARY.withCombiningBuffers(buffers))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(Integer.toString(buffers));
    }

    @Test
    void aFullInclusiveCacheTakesItsVictimFromTheCpusToo() {
        CacheHierarchy inclusive = with(CacheFeatures.ORDINARY.withInclusive(true));
        // Two CPUs with two lines each: four lines of one set, and the shared cache has room for two.
        inclusive.store(0, 0x0000, 1);
        inclusive.store(0, 0x0080, 2);
        inclusive.load(1, 0x0100);
        assertThat(inclusive.state(0, 0x0000)).isEqualTo(Mesi.INVALID);
        assertThat(inclusive.state(0, 0x0080)).isEqualTo(Mesi.MODIFIED);
        assertThat(dram.read(0x0000)).isEqualTo(1);
    }

    @Test
    void combiningDrainsTheBufferThatWasBegunFirst() {
        CacheHierarchy two = with(CacheFeatures.ORDINARY.withCombiningBuffers(2));
        two.store(0, LINE, 1, MemoryType.WC);
        two.store(0, LINE + 64, 2, MemoryType.WC);
        two.store(0, LINE + 8, 3, MemoryType.WC);
        assertThat(two.combining(0)).isEqualTo(2);
        two.store(0, LINE + 128, 4, MemoryType.WC);
        assertThat(two.combining(0)).isEqualTo(2);
        assertThat(dram.read(LINE)).isEqualTo(1);
        assertThat(dram.read(LINE + 8)).isEqualTo(3);
        assertThat(dram.read(LINE + 64)).isZero();
    }

    @Test
    void aWordThatCombinesIsPutBackIntoItsBufferAlone() {
        caches.store(0, LINE + 8, 7, MemoryType.WC);
        caches.store(0, LINE + 64, 8, MemoryType.WC);
        assertThat(caches.isCombining(0, LINE + 8)).isTrue();
        assertThat(caches.isCombining(0, LINE)).isFalse();
        assertThat(caches.isCombining(1, LINE + 8)).isFalse();
        assertThat(caches.combiningWord(0, LINE + 8)).isEqualTo(7);
        caches.restoreCombining(0, LINE + 8, false, 0);
        assertThat(caches.isCombining(0, LINE + 8)).isFalse();
        assertThat(caches.isCombining(0, LINE + 64)).isTrue();
        caches.restoreCombining(1, LINE + 8, true, 9);
        assertThat(caches.combiningWord(1, LINE + 8)).isEqualTo(9);
        assertThat(dram.read(LINE + 8)).isZero();
        caches.sfence(0);
        assertThat(dram.read(LINE + 8)).isZero();
        caches.sfence(1);
        assertThat(dram.read(LINE + 8)).isEqualTo(9);
        assertThat(dram.read(LINE)).isZero();
        assertThat(dram.read(LINE + 64)).isEqualTo(8);
    }

    @Test
    void aWordThatDoesNotCombineAndABufferTooMuchAreBugs() {
        CacheHierarchy one = with(CacheFeatures.ORDINARY.withCombiningBuffers(1));
        one.restoreCombining(0, LINE, true, 1);
        assertThatThrownBy(() -> one.restoreCombining(0, LINE + 64, true, 2))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("0x1040");
        assertThatThrownBy(() -> one.combiningWord(0, LINE + 8))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("0x1008");
        one.restoreCombining(0, LINE, true, 3);
        assertThat(one.combiningWord(0, LINE)).isEqualTo(3);
    }

    @Test
    void combiningOutsideOfMemoryIsABug() {
        assertThatThrownBy(() -> caches.store(0, 1 << 16, 1, MemoryType.WC))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("0x10000");
        assertThat(caches.combining(0)).isZero();
    }

    @Test
    void oneMorePendingFlushThanThereIsRoomForFlushesTheFirst() {
        caches.store(0, LINE, 5);
        for (int i = 0; i <= PendingFlushes.PER_CPU; i++) {
            assertThat(dram.read(LINE)).as("flush %d", i).isZero();
            caches.clflushopt(0, LINE + 64L * i);
        }
        assertThat(dram.read(LINE)).isEqualTo(5);
    }

    @Test
    void whatDrainsIsTracedAsMemoryHasItThen() {
        dram.write(LINE + 8, 7);
        caches.store(0, LINE, 5, MemoryType.WC);
        trace.start();
        caches.drain(0, LINE);
        assertThat(trace.size()).isEqualTo(1);
        assertThat(trace.kind(0)).isEqualTo(TraceKind.DRAIN);
        assertThat(trace.has(0, Trace.EXPLICIT)).isTrue();
        assertThat(trace.lineWord(0, 0)).isEqualTo(5);
        assertThat(trace.lineWord(0, 1)).isEqualTo(7);
        assertThat(trace.who(0)).isEqualTo("buffers0");
    }

    @Test
    void theTraceNamesTypesAndInstructions() {
        trace.start();
        caches.store(0, LINE, 1, MemoryType.WC);
        caches.store(0, LINE, 1, MemoryType.WP);
        caches.load(0, LINE + 64, MemoryType.WT);
        caches.clwb(0, LINE);
        caches.sfence(0);
        assertThat(trace.describe(0)).endsWith("STORE at 0x1000 value 0x1, WC");
        assertThat(trace.describe(1)).endsWith("STORE at 0x1000 value 0x1, WP");
        assertThat(trace.describe(3)).endsWith("LOAD at 0x1040 value 0x0, WT");
        assertThat(trace.describe(4)).endsWith("CLWB at 0x1000");
        assertThat(trace.describe(5)).endsWith("SFENCE");
    }

    @Test
    void theDigestTellsWhatWaits() {
        long fresh = digest();
        caches.store(0, LINE, 5, MemoryType.WC);
        long combined = digest();
        assertThat(combined).as("a buffer").isNotEqualTo(fresh);
        caches.store(0, LINE, 6, MemoryType.WC);
        assertThat(digest()).as("another value").isNotEqualTo(combined);
        caches.store(0, LINE, 5, MemoryType.WC);
        assertThat(digest()).isEqualTo(combined);
        caches.drain(0);
        assertThat(digest()).as("all drained").isEqualTo(fresh);
        caches.clflushopt(0, LINE);
        long flushed = digest();
        assertThat(flushed).as("a pending flush").isNotEqualTo(fresh);
        caches.sfence(0);
        caches.clwb(0, LINE);
        assertThat(digest()).as("another kind of flush").isNotEqualTo(flushed).isNotEqualTo(fresh);
        caches.reset();
        assertThat(digest()).as("reset").isEqualTo(fresh);
    }

    @Test
    void drainingAllLeavesEverythingInMemory() {
        caches.store(0, LINE, 5, MemoryType.WC);
        caches.store(1, LINE + 64, 6);
        caches.drain();
        assertThat(dram.read(LINE)).isEqualTo(5);
        assertThat(dram.read(LINE + 64)).isEqualTo(6);
    }

    private long digest() {
        StateDigest digest = new StateDigest();
        caches.addTo(digest);
        return digest.value();
    }
}
