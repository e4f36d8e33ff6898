// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.sim.memory.Dram;
import org.iommu4j.sim.spi.CacheFeatures;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.trace.Trace;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvFileSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What each memory type does, cell by cell, and what orders that which waits. */
class MemoryTypeTest {
    private static final long LINE = 0x1000;
    private static final long NEIGHBOUR = LINE + 8;
    private static final long ELSEWHERE = 0x2000;

    /**
     * Intel SDM volume 3, table 12-2 and the descriptions of section 12.3, with 12.3.1 for write-combining; AMD64 APM
     * volume 2, section 7.4, says the same. Rows are questions, {@code -} where a question has no sense.
     */
    private static final String TABLE = """
            QUESTION                        UC   UC-  WC   WT   WB   WP
            a load brings the line in       no   no   no   yes  yes  yes
            a load is served by the cache   no   no   no   yes  yes  yes
            a store brings the line in      no   no   no   no   yes  no
            a store is in memory at once    yes  yes  no   yes  no   yes
            own copy has the stored word    -    -    -    yes  yes  no
            own copy stays after a store    -    -    -    yes  yes  no
            other copies leave at a store   -    -    -    yes  yes  yes
            stores are combined             no   no   yes  no   no   no
            a load drains other lines       yes  yes  no   no   no   no
            a store drains other lines      yes  yes  no   no   no   no
            a load sees own earlier store   yes  yes  yes  yes  yes  yes
            another CPU sees it at once     yes  yes  no   yes  yes  yes
            another CPU sees it by SFENCE   yes  yes  yes  yes  yes  yes
            snooped DMA sees it at once     yes  yes  no   yes  yes  yes
            no-snoop DMA sees it at once    yes  yes  no   yes  no   yes
            no-snoop DMA sees it by SFENCE  yes  yes  yes  yes  no   yes
            a load sees no-snoop DMA        yes  yes  yes  no   no   no
            """;

    private static final class Probe {
        final MemoryType type;
        final Dram dram = new Dram(1 << 16);
        final CacheHierarchy caches;

        Probe(MemoryType type, CacheFeatures features) {
            this.type = type;
            caches = new CacheHierarchy(
                    dram,
                    ProcessorDescription.x86(2, HardwareVirtualization.NONE, CacheGeometry.LITMUS)
                            .withFeatures(features),
                    EvictionPolicy.LEAST_RECENTLY_USED,
                    new Trace());
        }

        long load(int cpu) {
            return caches.load(cpu, LINE, type);
        }

        void store(int cpu, long value) {
            caches.store(cpu, LINE, value, type);
        }

        boolean has(int cpu) {
            return caches.state(cpu, LINE) != Mesi.INVALID;
        }

        /** Puts another line's word into CPU 0's write-combining buffer, and returns whether an access drains it. */
        boolean drainedBy(Runnable access) {
            caches.store(0, ELSEWHERE, 3, MemoryType.WC);
            access.run();
            return dram.read(ELSEWHERE) == 3;
        }
    }

    private static Predicate<Probe> question(String words) {
        return switch (words) {
            case "a load brings the line in" ->
                probe -> {
                    probe.load(0);
                    return probe.has(0);
                };
            case "a load is served by the cache" ->
                probe -> {
                    probe.caches.prefetch(0, LINE);
                    probe.dram.write(LINE, 5);
                    return probe.load(0) == 0;
                };
            case "a store brings the line in" ->
                probe -> {
                    probe.store(0, 5);
                    return probe.has(0);
                };
            case "a store is in memory at once", "no-snoop DMA sees it at once" ->
                probe -> {
                    probe.store(0, 5);
                    return probe.caches.deviceRead(LINE, false) == 5;
                };
            case "own copy has the stored word" ->
                probe -> {
                    probe.load(0);
                    probe.store(0, 5);
                    return probe.has(0) && probe.caches.load(0, LINE) == 5;
                };
            case "own copy stays after a store" ->
                probe -> {
                    probe.load(0);
                    probe.store(0, 5);
                    return probe.has(0);
                };
            case "other copies leave at a store" ->
                probe -> {
                    probe.load(1);
                    probe.store(0, 5);
                    return !probe.has(1);
                };
            case "stores are combined" ->
                probe -> {
                    probe.store(0, 5);
                    probe.caches.store(0, NEIGHBOUR, 6, probe.type);
                    return probe.caches.combining(0) == 1;
                };
            case "a load drains other lines" -> probe -> probe.drainedBy(() -> probe.load(0));
            case "a store drains other lines" -> probe -> probe.drainedBy(() -> probe.store(0, 5));
            case "a load sees own earlier store" ->
                probe -> {
                    probe.store(0, 5);
                    return probe.load(0) == 5;
                };
            case "another CPU sees it at once" ->
                probe -> {
                    probe.load(1);
                    probe.store(0, 5);
                    return probe.load(1) == 5;
                };
            case "another CPU sees it by SFENCE" ->
                probe -> {
                    probe.load(1);
                    probe.store(0, 5);
                    probe.caches.sfence(0);
                    return probe.load(1) == 5;
                };
            case "snooped DMA sees it at once" ->
                probe -> {
                    probe.store(0, 5);
                    return probe.caches.deviceRead(LINE, true) == 5;
                };
            case "no-snoop DMA sees it by SFENCE" ->
                probe -> {
                    probe.store(0, 5);
                    probe.caches.sfence(0);
                    return probe.caches.deviceRead(LINE, false) == 5;
                };
            case "a load sees no-snoop DMA" ->
                probe -> {
                    probe.load(0);
                    probe.caches.deviceWrite(LINE, 5, false);
                    return probe.load(0) == 5;
                };
            default -> throw new IllegalArgumentException(words);
        };
    }

    static Stream<Arguments> cells() {
        List<String> lines = TABLE.lines().toList();
        String[] types = lines.get(0).trim().split(" +", -1);
        List<Arguments> cells = new ArrayList<>();
        for (String line : lines.subList(1, lines.size())) {
            String[] answers = line.substring(32).trim().split(" +", -1);
            for (int i = 0; i < answers.length; i++) {
                if (!answers[i].equals("-")) {
                    String type = types[i + 1].equals("UC-") ? "UC_MINUS" : types[i + 1];
                    cells.add(Arguments.of(
                            MemoryType.valueOf(type), line.substring(0, 32).trim(), answers[i]));
                }
            }
        }
        return cells.stream();
    }

    /** What a line already cached does to UC and WC depends on self-snoop; {@code memory-types.csv} has that. */
    @ParameterizedTest(name = "{0}: {1}: {2}")
    @MethodSource("cells")
    void eachCellIsThatOfTheManual(MemoryType type, String question, String answer) {
        for (boolean selfSnoop : List.of(true, false)) {
            CacheFeatures features = CacheFeatures.ORDINARY.withSelfSnoop(selfSnoop);
            assertThat(question(question).test(new Probe(type, features)))
                    .as("self-snoop %s", selfSnoop)
                    .isEqualTo(answer.equals("yes"));
        }
    }

    /**
     * Stories of one line, a row of {@code memory-types.csv} each: features, events, the private states of CPUs 0 and 1
     * and the shared one, memory, and what the last event saw. An event is what, who, and where needed a value: {@code
     * WT.store0=5}, {@code sfence1}, {@code dma=9} snooped and {@code nosnoop=9} not, {@code dma} and {@code nosnoop}
     * for reads.
     */
    @ParameterizedTest(name = "{0}: {1}")
    @CsvFileSource(resources = "memory-types.csv")
    void eachStoryEndsAsTheManualHasIt(String features, String events, String states, long memory, long seen) {
        CacheFeatures with = CacheFeatures.ORDINARY
                .withSelfSnoop(!features.contains("no-self-snoop"))
                .withInclusive(features.contains("inclusive"))
                .withDataDirectIo(features.contains("ddio"))
                .withCombiningBuffers(2);
        Probe probe = new Probe(MemoryType.WB, with);
        long last = 0;
        for (String event : events.split(" ", -1)) {
            last = apply(probe.caches, event);
        }
        assertThat(probe.caches.state(0, LINE).name().substring(0, 1)
                        + probe.caches.state(1, LINE).name().substring(0, 1)
                        + probe.caches.sharedState(LINE).name().substring(0, 1))
                .as("states")
                .isEqualTo(states);
        assertThat(probe.dram.read(LINE)).as("memory").isEqualTo(memory);
        assertThat(last).as("seen").isEqualTo(seen);
    }

    private static long apply(CacheHierarchy caches, String event) {
        String[] parts = event.split("=", -1);
        long value = parts.length > 1 ? Long.parseLong(parts[1]) : 0;
        if (parts[0].equals("dma") || parts[0].equals("nosnoop")) {
            boolean snoop = parts[0].equals("dma");
            if (parts.length == 1) {
                return caches.deviceRead(LINE, snoop);
            }
            caches.deviceWrite(LINE, value, snoop);
            return 0;
        }
        int end = parts[0].length() - 1;
        int cpu = parts[0].charAt(end) - '0';
        String[] words = parts[0].substring(0, end).split("\\.", -1);
        if (words.length > 1) {
            return access(caches, cpu, MemoryType.valueOf(words[0]), words[1], value);
        }
        switch (words[0].toLowerCase(Locale.ROOT)) {
            case "elsewhere" -> caches.store(cpu, ELSEWHERE + 64 * value, 3, MemoryType.WC);
            case "cas" -> caches.compareAndSet(cpu, ELSEWHERE, 0, 1);
            case "sfence" -> caches.sfence(cpu);
            case "mfence" -> caches.mfence(cpu);
            case "clflush" -> caches.clflush(cpu, LINE);
            case "clflushopt" -> caches.clflushopt(cpu, LINE);
            case "clwb" -> caches.clwb(cpu, LINE);
            case "wbinvd" -> caches.wbinvd(cpu);
            case "wbnoinvd" -> caches.wbnoinvd(cpu);
            case "invd" -> caches.invd(cpu);
            case "drain" -> caches.drain(cpu);
            case "drainline" -> caches.drain(cpu, LINE);
            case "evictprivate" -> caches.evictPrivate(cpu, LINE);
            case "evictshared" -> caches.evictShared(LINE);
            default -> throw new IllegalArgumentException(event);
        }
        return 0;
    }

    private static long access(CacheHierarchy caches, int cpu, MemoryType type, String what, long value) {
        switch (what) {
            case "load" -> {
                return caches.load(cpu, LINE, type);
            }
            case "store" -> caches.store(cpu, LINE, value, type);
            case "line" ->
                Arrays.stream(new int[] {0, 1, 2, 3, 4, 5, 6, 7})
                        .forEach(word -> caches.store(cpu, LINE + 8L * word, value, type));
            default -> throw new IllegalArgumentException(what);
        }
        return 0;
    }
}
