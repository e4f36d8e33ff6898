// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.LongSupplier;
import java.util.stream.Stream;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.sim.memory.Dram;
import org.iommu4j.sim.spi.CacheFeatures;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The caches do what {@link GoldenMemory} does, at random: every type of memory, instruction, DMA and event, with every
 * combination of features.
 *
 * <p>After each step the line of the step and another one must have the same holders and values. Where lines don't fit,
 * the golden memory is told which line was evicted from which cache, and nothing else.
 */
class GoldenMemoryTest {
    private static final int CPUS = 3;
    private static final int LINES = 12;
    private static final int WORDS = LINES * 8;
    private static final int STEPS = Integer.getInteger("iommu4j.cacheSteps", 130_000);

    /** Every line of the test in one set. */
    private static final CacheGeometry ROOMY = new CacheGeometry(1, 16, 1, 16);

    private static final MemoryType[] TYPES = MemoryType.values();

    static Stream<CacheFeatures> features() {
        List<CacheFeatures> all = new ArrayList<>();
        for (int bits = 0; bits < 8; bits++) {
            all.add(new CacheFeatures((bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, 1 + bits % 3));
        }
        return all.stream();
    }

    @ParameterizedTest
    @MethodSource("features")
    void whereAllLinesFitTheCachesAreTheGoldenMemory(CacheFeatures features) {
        new Run(features, ROOMY, EvictionPolicy.LEAST_RECENTLY_USED).play();
    }

    @ParameterizedTest
    @MethodSource("features")
    void whereLinesDoNotFitTheyLeaveByEvictionsAlone(CacheFeatures features) {
        new Run(features, CacheGeometry.LITMUS, EvictionPolicy.LEAST_RECENTLY_USED).play();
        new Run(features, CacheGeometry.LITMUS, EvictionPolicy.MOST_RECENTLY_USED).play();
    }

    private static final class Run {
        private final long seed = Long.getLong("iommu4j.seed", 20261201L);
        private final SplittableRandom random = new SplittableRandom(seed);
        private final Dram dram = new Dram(4096);
        private final CacheHierarchy caches;
        private final GoldenMemory golden;
        private final Trace trace = new Trace();
        private final boolean roomy;
        private final boolean inclusive;
        private final String settings;
        private int step;
        private String event = "";

        Run(CacheFeatures features, CacheGeometry geometry, EvictionPolicy policy) {
            ProcessorDescription processors = ProcessorDescription.x86(CPUS, HardwareVirtualization.NONE, geometry)
                    .withFeatures(features);
            caches = new CacheHierarchy(dram, processors, policy, trace);
            golden = new GoldenMemory(CPUS, features, PendingFlushes.PER_CPU, LINES);
            roomy = geometry.equals(ROOMY);
            inclusive = features.inclusive();
            settings = features + " " + geometry;
            if (!roomy) {
                trace.start();
            }
        }

        void play() {
            for (step = 0; step < STEPS; step++) {
                int word = random.nextInt(WORDS);
                int from = random.nextInt(44);
                if (from < 20) {
                    access(from, word);
                } else if (from < 30) {
                    device(from, word);
                } else {
                    other(from, word);
                }
                compare(word / 8);
                compare(step % LINES);
            }
            trace.stop();
            caches.drain();
            golden.drainAll();
            for (int word = 0; word < WORDS; word++) {
                same("memory at the end", dram.read(8L * word), golden.memory(word));
            }
        }

        /**
         * Does the same to both. An access makes room before it takes its own line, so the golden memory is told of
         * evictions first.
         */
        private void both(LongSupplier real, LongSupplier model) {
            long actual = real.getAsLong();
            for (int i = 0; i < trace.size(); i++) {
                if (trace.kind(i) == TraceKind.EVICT && !trace.has(i, Trace.EXPLICIT)) {
                    int word = (int) trace.address(i) / 8;
                    if (trace.source(i) < 0) {
                        golden.evictShared(word);
                    } else {
                        golden.evictPrivate(trace.source(i), word);
                    }
                }
            }
            trace.clear();
            same(event, actual, model.getAsLong());
        }

        private void both(Runnable real, Runnable model) {
            both(
                    () -> {
                        real.run();
                        return 0;
                    },
                    () -> {
                        model.run();
                        return 0;
                    });
        }

        private void access(int kind, int word) {
            int cpu = random.nextInt(CPUS);
            long address = 8L * word;
            long value = random.nextLong();
            // Half of all accesses are write-back: it has most states.
            MemoryType type = random.nextBoolean() ? MemoryType.WB : TYPES[random.nextInt(TYPES.length)];
            if (kind < 9) {
                event = "load " + type + " by " + cpu;
                both(() -> caches.load(cpu, address, type), () -> golden.load(cpu, word, type));
            } else if (kind < 18) {
                event = "store " + type + " by " + cpu;
                both(() -> caches.store(cpu, address, value, type), () -> golden.store(cpu, word, value, type));
            } else if (kind == 18) {
                event = "compare-and-set by " + cpu;
                if (!roomy) {
                    // What it orders comes before its evictions, and both tells of those first.
                    both(() -> caches.sfence(cpu), () -> golden.serialize(cpu));
                }
                long expected = golden.deviceRead(word, true) + (random.nextBoolean() ? 1 : 0);
                both(
                        () -> caches.compareAndSet(cpu, address, expected, value) ? 1 : 0,
                        () -> golden.compareAndSet(cpu, word, expected, value) ? 1 : 0);
            } else {
                event = "run by " + cpu;
                // Where lines don't fit, a run of several lines may evict those that it wrote first.
                int count = 1 + random.nextInt(roomy ? Math.min(20, WORDS - word) : 8 - word % 8);
                both(() -> caches.storeRun(cpu, address, value, 7, count), () -> {
                    for (int i = 0; i < count; i++) {
                        golden.store(cpu, word + i, value + 7L * i, MemoryType.WB);
                    }
                });
            }
        }

        private void device(int kind, int word) {
            long address = 8L * word;
            boolean snoop = random.nextBoolean();
            long value = random.nextLong();
            event = (snoop ? "snooped" : "no-snoop") + " DMA " + kind;
            if (kind < 24) {
                both(() -> caches.deviceRead(address, snoop), () -> golden.deviceRead(word, snoop));
            } else if (kind < 28) {
                both(() -> caches.deviceWrite(address, value, snoop), () -> golden.deviceWrite(word, value, snoop));
            } else if (kind == 28) {
                boolean upper = random.nextBoolean();
                long old = golden.deviceRead(word, snoop);
                long half = value & 0xffffffffL;
                long merged = upper ? (old & 0xffffffffL) | half << 32 : (old >>> 32 << 32) | half;
                both(
                        () -> caches.deviceWrite32(address + (upper ? 4 : 0), (int) value, snoop),
                        () -> golden.deviceWrite(word, merged, snoop));
            } else {
                long found = golden.deviceRead(word, snoop);
                long expected = found + (random.nextBoolean() ? 1 : 0);
                both(() -> caches.deviceCompareAndSet(address, expected, value, snoop) ? 1 : 0, () -> {
                    if (found == expected) {
                        golden.deviceWrite(word, value, snoop);
                    }
                    return found == expected ? 1 : 0;
                });
            }
        }

        private void other(int kind, int word) {
            int cpu = random.nextInt(CPUS);
            long address = 8L * word;
            event = "event " + kind + " of " + cpu;
            switch (kind) {
                case 30 -> both(() -> caches.clflush(cpu, address), () -> golden.clflush(word));
                case 31, 32 -> both(() -> caches.clflushopt(cpu, address), () -> golden.flushLater(cpu, word, false));
                case 33, 34 -> both(() -> caches.clwb(cpu, address), () -> golden.flushLater(cpu, word, true));
                case 35 -> both(() -> caches.prefetch(cpu, address), () -> golden.prefetch(cpu, word));
                case 36, 37 -> both(() -> caches.evictPrivate(cpu, address), () -> golden.evictPrivate(cpu, word));
                case 38 -> both(() -> caches.evictShared(address), () -> golden.evictShared(word));
                case 39 -> both(() -> caches.evict(cpu, address), () -> golden.evict(cpu, word));
                case 40 -> both(() -> caches.drain(cpu, address), () -> golden.drain(cpu, word / 8));
                case 41 -> fence(cpu);
                default -> {
                    if (random.nextInt(20) == 0) {
                        whole(cpu);
                    }
                }
            }
        }

        private void fence(int cpu) {
            switch (random.nextInt(3)) {
                case 0 -> both(() -> caches.sfence(cpu), () -> golden.serialize(cpu));
                case 1 -> both(() -> caches.mfence(cpu), () -> golden.serialize(cpu));
                default -> both(() -> caches.drain(cpu), () -> golden.serialize(cpu));
            }
        }

        private void whole(int cpu) {
            switch (random.nextInt(4)) {
                case 0 -> both(() -> caches.wbinvd(cpu), () -> golden.wbinvd(cpu));
                case 1 -> both(() -> caches.wbnoinvd(cpu), () -> golden.wbnoinvd(cpu));
                case 2 -> both(() -> caches.invd(cpu), () -> golden.invd(cpu));
                default -> both(caches::drain, golden::drainAll);
            }
        }

        private void compare(int line) {
            long address = 64L * line;
            int word = 8 * line;
            int holders = 0;
            int owner = -1;
            for (int holder = 0; holder <= CPUS; holder++) {
                Mesi state = holder == CPUS ? caches.sharedState(address) : caches.state(holder, address);
                if ((state != Mesi.INVALID) != golden.holds(line, holder)
                        || (state == Mesi.MODIFIED) != golden.isDirtyIn(line, holder)) {
                    fail(line + " is " + state + " in " + holder);
                }
                boolean counts = state != Mesi.INVALID && !(inclusive && holder == CPUS);
                holders += counts ? 1 : 0;
                owner = holder < CPUS && (state == Mesi.MODIFIED || state == Mesi.EXCLUSIVE) ? holder : owner;
            }
            if (owner >= 0 && holders != 1) {
                fail(line + " is owned by " + owner + " and not alone");
            }
            int which = word + step % 8;
            same("memory", dram.read(8L * which), golden.memory(which));
            for (int cpu = 0; cpu < CPUS; cpu++) {
                same("buffers", caches.combining(cpu), golden.combining(cpu));
            }
        }

        private void same(String what, long actual, long expected) {
            if (actual != expected) {
                assertThat(actual).as(where(what)).isEqualTo(expected);
            }
        }

        private void fail(String what) {
            throw new AssertionError(where("line " + what));
        }

        private String where(String what) {
            return what + " after " + event + ", step " + step + ", seed " + seed + " (-Diommu4j.seed), " + settings;
        }
    }
}
