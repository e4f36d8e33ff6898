// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The engine on a model that another explorer counted as well. */
class MesiCachesTest {
    /** Caches in which CPU 0 and CPU 1 are alike, and every state of memory in which line 0 is 1 is wrong. */
    private static final class Alike implements TransitionSystem {
        private final MesiCaches caches = new MesiCaches(2, 2, 2);
        private final long[] words = new long[1];

        @Override
        public int words() {
            return 1;
        }

        @Override
        public int actions() {
            return caches.actions();
        }

        @Override
        public List<Property> properties() {
            return List.of(
                    caches.properties().get(0),
                    new Property("line 0 shared as 1 and line 1 modified by the other", () -> !isWrong()));
        }

        private boolean isWrong() {
            caches.save(words, 0);
            int first = (int) words[0] & 0x3F;
            int second = (int) (words[0] >>> 7) & 0x3F;
            return ((first & 7) == 5 && second >>> 3 == 7) || (first >>> 3 == 5 && (second & 7) == 7);
        }

        @Override
        public void reset() {
            caches.reset();
        }

        @Override
        public int enabled(int[] into) {
            return caches.enabled(into);
        }

        @Override
        public void apply(int action) {
            caches.apply(action);
        }

        @Override
        public long fingerprint() {
            return caches.fingerprint();
        }

        @Override
        public boolean isFingerprintExact() {
            return true;
        }

        /** The smaller of the state and of the one with the processors exchanged. */
        @Override
        public long canonicalFingerprint() {
            long state = caches.fingerprint();
            long exchanged = exchanged(state & 0x7F) | (exchanged(state >>> 7) << 7);
            return Math.min(state, exchanged);
        }

        private static long exchanged(long line) {
            return (line & 0x40) | ((line & 7) << 3) | ((line >>> 3) & 7);
        }

        @Override
        public void save(long[] into, int at) {
            caches.save(into, at);
        }

        @Override
        public void restore(long[] from, int at) {
            caches.restore(from, at);
        }
    }

    @TempDir
    private Path directory;

    private static Report explore(int cpus, int lines, int values, Settings settings) {
        try (Exploration exploration = new Exploration(() -> new MesiCaches(cpus, lines, values), settings)) {
            return exploration.run(Bounds.NONE);
        }
    }

    /** As SPIN 6.5.2 counts them for the same model in Promela, less the transition that it counts for the start. */
    @ParameterizedTest
    @CsvSource({
        "2, 1, 2, 30, 398",
        "2, 2, 2, 900, 22080",
        "2, 3, 2, 27000, 966600",
        "3, 1, 2, 54, 930",
        "3, 2, 2, 2916, 91692",
        "3, 3, 2, 157464, 7190856",
        "4, 1, 2, 94, 1990",
        "4, 2, 2, 8836, 338776",
        "2, 2, 3, 4356, 141768",
        "3, 2, 3, 14400, 596880",
        "4, 1, 3, 210, 5706",
        "4, 1, 4, 372, 12340"
    })
    void statesAndTransitionsAreThoseThatSpinCounts(int cpus, int lines, int values, long states, long transitions) {
        for (int workers = 1; workers <= 3; workers++) {
            Report report = explore(cpus, lines, values, Settings.DEFAULT.withWorkers(workers));
            assertThat(report.cover().states()).isEqualTo(states);
            assertThat(report.cover().transitions()).isEqualTo(transitions);
            assertThat(report.cover().ended()).isEqualTo(Ended.COMPLETE);
            assertThat(report.cover().expectedCollisions()).isZero();
            assertThat(report.violation()).isEmpty();
        }
    }

    @Test
    void aFrontierOnDiskChangesNothing() {
        Settings settings = Settings.DEFAULT.withFrontierMemory(0).withSpillDirectory(directory);
        Cover cover = explore(3, 3, 2, settings).cover();
        assertThat(cover.states()).isEqualTo(157_464);
        assertThat(cover.transitions()).isEqualTo(7_190_856);
        assertThat(cover.spilled()).isGreaterThan(500_000);
        assertThat(cover.depth())
                .isEqualTo(explore(3, 3, 2, Settings.DEFAULT).cover().depth());
    }

    @Test
    void theModelKeepsItsPromises() {
        try (Exploration exploration =
                new Exploration(() -> new CheckedSystem(new MesiCaches(3, 2, 2)), Settings.DEFAULT)) {
            assertThat(exploration.run(Bounds.NONE).cover().states()).isEqualTo(2916);
        }
    }

    /** A state of two words, of which no sum of bits is the fingerprint. */
    @Test
    void aStateOfTwoWordsIsRestoredWhole() {
        long seed = Long.getLong("iommu4j.seed", 20261201L);
        Random random = new Random(seed);
        MesiCaches caches = new MesiCaches(4, 7, 2);
        assertThat(caches.words()).isEqualTo(2);
        CheckedSystem checked = new CheckedSystem(caches);
        int[] enabled = new int[checked.actions()];
        Set<Long> fingerprints = new HashSet<>();
        Set<Long> seconds = new HashSet<>();
        Set<List<Long>> states = new HashSet<>();
        long[] words = new long[2];
        for (int i = 0; i < 50_000; i++) {
            checked.apply(enabled[random.nextInt(checked.enabled(enabled))]);
            checked.save(words, 0);
            states.add(List.of(words[0], words[1]));
            fingerprints.add(checked.fingerprint());
            seconds.add(checked.secondFingerprint());
        }
        assertThat(fingerprints).as("seed %d", seed).hasSameSizeAs(states);
        assertThat(seconds).as("seed %d", seed).hasSameSizeAs(states);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void symmetryHalvesTheStatesAndChangesNoVerdict(int workers) {
        Settings with = Settings.DEFAULT.withWorkers(workers);
        Report reduced;
        Report full;
        try (Exploration exploration = new Exploration(Alike::new, with)) {
            reduced = exploration.run(Bounds.NONE);
        }
        try (Exploration exploration = new Exploration(Alike::new, with.withSymmetry(false))) {
            full = exploration.run(Bounds.NONE);
        }
        assertThat(full.violation().orElseThrow().property()).startsWith("line 0 shared as 1");
        assertThat(reduced.violation().orElseThrow().property())
                .isEqualTo(full.violation().orElseThrow().property());
        assertThat(reduced.violation().orElseThrow().path())
                .hasSameSizeAs(full.violation().orElseThrow().path());
        assertThat(reduced.cover().states())
                .isBetween(full.cover().states() / 2, full.cover().states() * 2 / 3);
        assertThat(reduced.cover().depth()).isEqualTo(full.cover().depth());
    }

    /** {@code -Diommu4j.explorer.large=true -Xmx3g}; some minutes. */
    @Test
    void aHundredMillionStatesFitInThreeGibibytes() {
        assumeThat(Boolean.getBoolean("iommu4j.explorer.large"))
                .as("-Diommu4j.explorer.large=true explores for some minutes")
                .isTrue();
        assertThat(Runtime.getRuntime().maxMemory()).as("-Xmx3g").isLessThanOrEqualTo(3L << 30);
        Settings settings = Settings.DEFAULT.withFrontierMemory(256 << 20).withSpillDirectory(directory);
        try (Exploration exploration = new Exploration(() -> new MesiCaches(4, 5, 2), settings)) {
            Cover cover = exploration
                    .run(Bounds.NONE.withStates(100_000_000).withTime(Duration.ofHours(1)))
                    .cover();
            assertThat(cover.statement()).contains("bounded by the number of states");
            assertThat(cover.states()).isGreaterThanOrEqualTo(100_000_000);
            assertThat(cover.memory()).isLessThan(3L << 30);
            assertThat(cover.expectedCollisions()).isLessThan(0.001);
        }
    }
}
