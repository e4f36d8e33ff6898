// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.sim.memory.Dram;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.trace.Trace;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvFileSource;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CacheHierarchyTest {
    private static final long LINE = 0x1000;
    private static final long SIZE = 1 << 16;

    private final Dram dram = new Dram(SIZE);
    private final Trace trace = new Trace();
    private final CacheHierarchy caches = hierarchy(dram, CacheGeometry.LITMUS, EvictionPolicy.LEAST_RECENTLY_USED);

    private CacheHierarchy hierarchy(Dram memory, CacheGeometry geometry, EvictionPolicy policy) {
        return new CacheHierarchy(
                memory, ProcessorDescription.x86(3, HardwareVirtualization.NONE, geometry), policy, trace);
    }

    /**
     * The protocol, a row of {@code protocol.csv} each. Events: L load, S store 5, C compare-and-set to 6, P prefetch,
     * E evict to the shared cache, X evict from the shared cache, Q evict to DRAM, F clflush, W wbinvd, U uncached
     * load, V uncached store 7, each with a CPU's number; D snooped and d un-snooped device write of 9, R snooped and r
     * un-snooped device read. States: CPUs 0, 1, 2, shared cache.
     */
    @ParameterizedTest(name = "{0} then {1} gives {2}, memory {3}")
    @CsvFileSource(resources = "protocol.csv")
    void everyTransitionIsThatOfTheProtocol(String before, String event, String states, long memory) {
        for (String earlier : before.split(" ", -1)) {
            apply(earlier);
        }
        apply(event);
        assertThat(states(LINE)).isEqualTo(states);
        assertThat(dram.read(LINE)).isEqualTo(memory);
    }

    @ParameterizedTest(name = "after {0}, {1} sees {2}")
    @CsvSource({
        "S0,        L1, 5",
        "S0 E0,     L1, 5",
        "S0,        U1, 5",
        "S0,        R,  5",
        "S0 E0,     R,  5",
        "S0 L1,     R,  5",
        "S0,        r,  0",
        "S0 E0,     r,  0",
        "S0 W1,     r,  0",
        "S0 W0,     r,  5",
        "S0 E0 W1,  r,  5",
        "S0 F1,     r,  5",
        "S0 D,      L0, 9",
        "L0 d,      L0, 0",
        "L0 d,      L1, 0",
        "L0 d,      R,  0",
        "L0 d,      r,  9",
        "L0 d F1,   L0, 9",
        "L0 d W0,   L0, 9",
        "L0 d W1,   L0, 0",
        "L0 d U1,   L0, 9",
        "L0 d,      U1, 9",
        "L0 E0 d,   L0, 0",
        "L0 E0 d W1,L0, 9",
        "P0 d,      L0, 0",
        "S0 d Q0,   r,  5",
    })
    void readersSeeWhatTheirPathHolds(String before, String reader, long value) {
        for (String event : before.split(" ", -1)) {
            apply(event);
        }
        assertThat(apply(reader)).isEqualTo(value);
    }

    @Test
    void theLinesOfEachCacheAreListed() {
        long other = LINE + 64;
        caches.store(1, other + 8, 5);
        caches.load(1, LINE);
        caches.store(0, LINE, 6);
        caches.evictPrivate(1, other);
        assertThat(caches.lines(0)).containsExactly(LINE);
        assertThat(caches.lines(1)).isEmpty();
        assertThat(caches.lines(CacheHierarchy.SHARED_CACHE)).containsExactly(other);
        caches.drain();
        assertThat(caches.lines(0)).isEmpty();
    }

    private long apply(String event) {
        if (event.isEmpty()) {
            return 0;
        }
        int cpu = event.length() > 1 ? event.charAt(1) - '0' : 0;
        switch (event.charAt(0)) {
            case 'L' -> {
                return caches.load(cpu, LINE);
            }
            case 'U' -> {
                return caches.load(cpu, LINE, MemoryType.UC);
            }
            case 'R' -> {
                return caches.deviceRead(LINE, true);
            }
            case 'r' -> {
                return caches.deviceRead(LINE, false);
            }
            case 'S' -> caches.store(cpu, LINE, 5);
            case 'C' -> caches.compareAndSet(cpu, LINE, caches.deviceRead(LINE, true), 6);
            case 'V' -> caches.store(cpu, LINE, 7, MemoryType.UC);
            case 'P' -> caches.prefetch(cpu, LINE);
            case 'E' -> caches.evictPrivate(cpu, LINE);
            case 'X' -> caches.evictShared(LINE);
            case 'Q' -> caches.evict(cpu, LINE);
            case 'F' -> caches.clflush(cpu, LINE);
            case 'W' -> caches.wbinvd(cpu);
            case 'D' -> caches.deviceWrite(LINE, 9, true);
            case 'd' -> caches.deviceWrite(LINE, 9, false);
            default -> throw new IllegalArgumentException(event);
        }
        return 0;
    }

    private String states(long line) {
        StringBuilder states = new StringBuilder();
        for (int cpu = 0; cpu < 3; cpu++) {
            states.append(caches.state(cpu, line).name().charAt(0)).append(' ');
        }
        return states.append(caches.sharedState(line).name().charAt(0)).toString();
    }

    @Test
    void aSnoopedWriteMergesIntoTheRestOfADirtyLine() {
        caches.store(0, LINE, 1);
        caches.store(0, LINE + 8, 2);
        caches.deviceWrite(LINE, 3, true);
        assertThat(dram.read(LINE)).isEqualTo(3);
        assertThat(dram.read(LINE + 8)).isEqualTo(2);
    }

    @Test
    void aDirtyLineThatIsEvictedLaterOverwritesWhatADeviceWrotePastIt() {
        caches.store(0, LINE + 8, 2);
        caches.deviceWrite(LINE, 3, false);
        caches.evict(0, LINE);
        assertThat(dram.read(LINE)).isZero();
        assertThat(dram.read(LINE + 8)).isEqualTo(2);
    }

    @Test
    void fourByteWritesReplaceTheirHalf() {
        caches.store(0, LINE, 0x1111111122222222L);
        caches.deviceWrite32(LINE, 0x80000001, true);
        assertThat(dram.read(LINE)).isEqualTo(0x1111111180000001L);
        caches.deviceWrite32(LINE + 4, 0x80000002, true);
        assertThat(caches.load(0, LINE)).isEqualTo(0x8000000280000001L);
    }

    @Test
    void aDevicesCompareAndSetComparesWhatItsPathHolds() {
        caches.store(0, LINE, 5);
        assertThat(caches.deviceCompareAndSet(LINE, 5, 6, false)).isFalse();
        assertThat(caches.deviceCompareAndSet(LINE, 5, 6, true)).isTrue();
        assertThat(caches.load(1, LINE)).isEqualTo(6);
    }

    @Test
    void aCpusCompareAndSetStoresOnlyWhatWasExpected() {
        caches.store(1, LINE, 5);
        assertThat(caches.compareAndSet(0, LINE, 4, 6)).isFalse();
        assertThat(caches.load(1, LINE)).isEqualTo(5);
        assertThat(caches.compareAndSet(0, LINE, 5, 6)).isTrue();
        assertThat(caches.load(1, LINE)).isEqualTo(6);
    }

    @Test
    void aFullSetEvictsItsLeastRecentlyUsedLineIntoTheSharedCache() {
        // LITMUS has 2 sets: these three lines fall into one set of 2 ways.
        caches.store(0, 0x0000, 1);
        caches.store(0, 0x0080, 2);
        caches.load(0, 0x0000);
        caches.store(0, 0x0100, 3);
        assertThat(states(0x0000)).isEqualTo("M I I I");
        assertThat(states(0x0080)).isEqualTo("I I I M");
        assertThat(states(0x0100)).isEqualTo("M I I I");
        assertThat(dram.read(0x0080)).isZero();
    }

    @Test
    void aFullSharedCacheWritesItsVictimToMemoryAndPrivateCopiesStay() {
        caches.store(0, 0x0000, 1);
        caches.load(1, 0x0000);
        assertThat(states(0x0000)).isEqualTo("S S I M");
        for (long line : new long[] {0x0080, 0x0100}) {
            caches.store(2, line, 2);
            caches.load(1, line);
        }
        assertThat(states(0x0000)).as("not inclusive").startsWith("S").endsWith("I");
        assertThat(dram.read(0x0000)).isEqualTo(1);
    }

    @Test
    void theEvictionPolicyCanBeReplaced() {
        CacheHierarchy other = hierarchy(dram, CacheGeometry.LITMUS, EvictionPolicy.MOST_RECENTLY_USED);
        other.load(0, 0x0000);
        other.load(0, 0x0080);
        other.load(0, 0x0100);
        assertThat(other.state(0, 0x0000)).isEqualTo(Mesi.EXCLUSIVE);
        assertThat(other.state(0, 0x0080)).isEqualTo(Mesi.INVALID);
    }

    @Test
    void runsCrossLinesAndCountTheirWords() {
        caches.storeRun(0, LINE + 56, 10, 3, 11);
        for (int i = 0; i < 11; i++) {
            assertThat(caches.load(1, LINE + 56 + 8L * i)).isEqualTo(10 + 3L * i);
        }
        assertThat(caches.load(1, LINE + 48)).isZero();
        assertThat(caches.load(1, LINE + 56 + 88)).isZero();
        assertThat(caches.leading(2, LINE + 56, -1, false, 20)).isEqualTo(11);
        assertThat(caches.leading(2, LINE + 56 + 88, -1, true, 20)).isEqualTo(20);
        assertThat(caches.leading(2, LINE, -1, true, 20)).isEqualTo(7);
    }

    @Test
    void flushingARangeFlushesEveryLineThatItTouchesAndNoOther() {
        for (int line = 0; line < 4; line++) {
            caches.store(line % 3, LINE + 64L * line, 5);
        }
        caches.clflushRange(0, LINE + 127, 2);
        assertThat(dram.read(LINE)).isZero();
        assertThat(dram.read(LINE + 64)).isEqualTo(5);
        assertThat(dram.read(LINE + 128)).isEqualTo(5);
        assertThat(dram.read(LINE + 192)).isZero();
    }

    @Test
    void accessesOutsideMemoryOrMisalignedAreBugs() {
        assertThatThrownBy(() -> caches.load(0, SIZE))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("0x10000");
        assertThatThrownBy(() -> caches.store(0, 4, 1))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("0x4");
    }

    @Test
    void aSecondThreadIsRefusedUntilTheFirstReleasesTheCaches() throws ExecutionException, InterruptedException {
        caches.load(0, LINE);
        assertThatThrownBy(() -> CompletableFuture.supplyAsync(() -> caches.load(0, LINE))
                        .get())
                .hasCauseInstanceOf(IllegalStateException.class)
                .hasMessageContaining("belongs to");
        caches.release();
        assertThat(CompletableFuture.supplyAsync(() -> caches.load(0, LINE)).get())
                .isZero();
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void coherentTrafficIsNeverStale(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        long[] flat = new long[128];
        for (int step = 0; step < 20_000; step++) {
            int word = random.nextInt(flat.length);
            long address = 8L * word;
            int cpu = random.nextInt(3);
            String what = "seed " + seed + " step " + step + " address 0x" + Long.toHexString(address);
            switch (random.nextInt(16)) {
                case 0, 1, 2 -> assertThat(caches.load(cpu, address)).as(what).isEqualTo(flat[word]);
                case 3, 4, 5 -> {
                    flat[word] = random.nextLong();
                    caches.store(cpu, address, flat[word]);
                }
                case 6 -> assertThat(caches.deviceRead(address, true)).as(what).isEqualTo(flat[word]);
                case 7 -> {
                    flat[word] = random.nextLong();
                    caches.deviceWrite(address, flat[word], true);
                }
                case 8 ->
                    assertThat(caches.load(cpu, address, MemoryType.UC))
                            .as(what)
                            .isEqualTo(flat[word]);
                case 9 -> {
                    flat[word] = random.nextLong();
                    caches.store(cpu, address, flat[word], MemoryType.UC);
                }
                case 10 -> {
                    long wanted = random.nextBoolean() ? flat[word] : flat[word] + 1;
                    long value = random.nextLong();
                    boolean done = caches.compareAndSet(cpu, address, wanted, value);
                    assertThat(done).as(what).isEqualTo(wanted == flat[word]);
                    flat[word] = done ? value : flat[word];
                }
                case 11 -> {
                    int count = 1 + random.nextInt(Math.min(24, flat.length - word));
                    long first = random.nextLong();
                    caches.storeRun(cpu, address, first, 7, count);
                    for (int i = 0; i < count; i++) {
                        flat[word + i] = first + 7L * i;
                    }
                }
                case 12 -> caches.clflush(cpu, address);
                case 13 -> caches.evictPrivate(cpu, address);
                case 14 -> caches.evictShared(address);
                default -> {
                    if (random.nextInt(50) == 0) {
                        caches.wbinvd(cpu);
                    } else {
                        caches.prefetch(cpu, address);
                    }
                }
            }
            assertOneOwnerAndEqualCopies(address & -64, what);
        }
        caches.drain();
        for (int word = 0; word < flat.length; word++) {
            assertThat(dram.read(8L * word)).as("seed %d word %d", seed, word).isEqualTo(flat[word]);
        }
    }

    private void assertOneOwnerAndEqualCopies(long line, String what) {
        int copies = caches.sharedState(line) == Mesi.INVALID ? 0 : 1;
        int owners = 0;
        for (int cpu = 0; cpu < 3; cpu++) {
            Mesi state = caches.state(cpu, line);
            copies += state == Mesi.INVALID ? 0 : 1;
            owners += state == Mesi.MODIFIED || state == Mesi.EXCLUSIVE ? 1 : 0;
        }
        assertThat(owners == 0 || copies == 1).as(what + ": " + states(line)).isTrue();
    }

    @Test
    void theSameEventsGiveTheSameDigestAndAResetThatOfNewCaches() {
        long fresh = digest(caches);
        play(caches);
        long played = digest(caches);
        assertThat(played).isNotEqualTo(fresh);

        CacheHierarchy second = hierarchy(new Dram(SIZE), CacheGeometry.LITMUS, EvictionPolicy.LEAST_RECENTLY_USED);
        play(second);
        assertThat(digest(second)).isEqualTo(played);

        caches.reset();
        dram.reset();
        assertThat(digest(caches)).isEqualTo(fresh);
        assertThat(states(LINE)).isEqualTo("I I I I");
        play(caches);
        assertThat(digest(caches)).isEqualTo(played);
    }

    @Test
    void theDigestTellsWhatCanMakeADifferenceLater() {
        caches.load(0, 0x0000);
        caches.load(0, 0x0080);
        long oneOrder = digest(caches);
        caches.load(0, 0x0000);
        assertThat(digest(caches)).as("order of use").isNotEqualTo(oneOrder);
        caches.load(0, 0x0080);
        assertThat(digest(caches)).isEqualTo(oneOrder);
        caches.store(0, 0x0080, 0);
        assertThat(digest(caches)).as("state").isNotEqualTo(oneOrder);
    }

    private static void play(CacheHierarchy on) {
        on.store(0, LINE, 1);
        on.load(1, LINE);
        on.store(2, LINE + 0x80, 2);
        on.deviceWrite(LINE, 3, false);
        on.prefetch(1, LINE + 0x100);
        on.evictPrivate(2, LINE + 0x80);
    }

    private static long digest(CacheHierarchy of) {
        StateDigest digest = new StateDigest();
        of.addTo(digest);
        return digest.value();
    }
}
