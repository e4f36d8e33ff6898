// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The engine against a search by the book, over systems by chance. */
class RandomSystemsTest {
    private static final int ROUNDS = Integer.getInteger("iommu4j.rounds", 150);

    @TempDir
    private Path directory;

    /** What a queue and a map find. */
    private static final class ByTheBook {
        private final Map<Integer, Integer> depths = new HashMap<>();
        private final List<Integer> ofTransitions = new ArrayList<>();
        private int violationDepth = Integer.MAX_VALUE;
        private int violationRank = Integer.MAX_VALUE;
        private int deepest;

        ByTheBook(RandomSystem system) {
            ArrayDeque<Integer> queue = new ArrayDeque<>();
            depths.put(0, 0);
            queue.add(0);
            while (!queue.isEmpty()) {
                int state = queue.remove();
                int depth = depths.get(state);
                deepest = depth;
                int enabled = 0;
                for (int next : system.successor[state]) {
                    if (next != RandomSystem.NOT_ENABLED) {
                        enabled++;
                        ofTransitions.add(depth);
                        if (depths.putIfAbsent(next, depth + 1) == null) {
                            queue.add(next);
                        }
                    }
                }
                int rank = !system.holds[state][0] ? 0 : !system.holds[state][1] ? 1 : 2;
                if ((rank < 2 || (enabled == 0 && !system.rests[state])) && depth <= violationDepth) {
                    violationRank = depth < violationDepth ? rank : Math.min(rank, violationRank);
                    violationDepth = depth;
                }
            }
        }

        /** A state that is stuck is seen when its depth is expanded, one depth later than another violation. */
        private int lastExpanded() {
            return violationRank == 2 ? violationDepth : violationDepth - 1;
        }

        boolean hasViolation() {
            return violationDepth != Integer.MAX_VALUE;
        }

        long states() {
            return hasViolation()
                    ? depths.values().stream()
                            .filter(depth -> depth <= lastExpanded() + 1)
                            .count()
                    : depths.size();
        }

        long transitions() {
            return hasViolation()
                    ? ofTransitions.stream()
                            .filter(depth -> depth <= lastExpanded())
                            .count()
                    : ofTransitions.size();
        }
    }

    @Test
    void everyNumberOfWorkersFindsWhatASearchByTheBookFinds() {
        long first = Long.getLong("iommu4j.seed", 20261201L);
        int violations = 0;
        int complete = 0;
        for (long seed = first; seed < first + ROUNDS; seed++) {
            Random random = new Random(seed);
            RandomSystem system = new RandomSystem(
                    random,
                    1 + random.nextInt(3000),
                    1 + random.nextInt(12),
                    0.2 + 0.8 * random.nextDouble(),
                    random.nextBoolean() ? 0 : 0.02 * random.nextDouble());
            ByTheBook expected = new ByTheBook(system);
            Report one = explore(system, random, 1, seed, expected);
            for (int workers = 2; workers <= 4; workers++) {
                Report several = explore(system, random, workers, seed, expected);
                assertThat(several.violation().map(Violation::property))
                        .as("seed %d", seed)
                        .isEqualTo(one.violation().map(Violation::property));
                assertThat(several.violation().map(violation -> end(system, violation)))
                        .as("seed %d", seed)
                        .isEqualTo(one.violation().map(violation -> end(system, violation)));
            }
            violations += expected.hasViolation() ? 1 : 0;
            complete += expected.hasViolation() ? 0 : 1;
        }
        assertThat(violations).isGreaterThan(ROUNDS / 10);
        assertThat(complete).isGreaterThan(ROUNDS / 10);
    }

    private Report explore(RandomSystem system, Random random, int workers, long seed, ByTheBook expected) {
        Settings settings = Settings.DEFAULT
                .withWorkers(workers)
                .withFrontierMemory(random.nextBoolean() ? 0 : 1 << 20)
                .withSpillDirectory(directory);
        String where = "seed " + seed + " workers " + workers;
        try (Exploration exploration =
                new Exploration(() -> new CheckedSystem(system.copy()), settings, 16 + random.nextInt(60))) {
            Report report = exploration.run(Bounds.NONE);
            assertThat(report.cover().states()).as(where).isEqualTo(expected.states());
            assertThat(report.cover().transitions()).as(where).isEqualTo(expected.transitions());
            assertThat(report.violation().isPresent()).as(where).isEqualTo(expected.hasViolation());
            if (expected.hasViolation()) {
                Violation violation = report.violation().orElseThrow();
                assertThat(report.cover().ended()).as(where).isEqualTo(Ended.VIOLATION);
                assertThat(violation.path()).as(where).hasSize(expected.violationDepth);
                assertThat(violation.property())
                        .as(where)
                        .isEqualTo(expected.violationRank == 2 ? Property.STUCK : "property " + expected.violationRank);
            } else {
                assertThat(report.cover().ended()).as(where).isEqualTo(Ended.COMPLETE);
                assertThat(report.cover().depth()).as(where).isEqualTo(expected.deepest);
            }
            return report;
        }
    }

    private static int end(RandomSystem system, Violation violation) {
        RandomSystem replayed = system.copy();
        replayed.replay(violation.actions());
        return replayed.state();
    }

    @Test
    void anExplorationThatStopsAtManyBoundsEndsWithTheSameCounts() {
        long first = Long.getLong("iommu4j.seed", 20261201L);
        for (long seed = first; seed < first + 20; seed++) {
            Random random = new Random(seed);
            RandomSystem system = new RandomSystem(random, 2000, 8, 0.7, 0);
            ByTheBook expected = new ByTheBook(system);
            for (int workers = 1; workers <= 3; workers++) {
                String where = "seed " + seed + " workers " + workers;
                Settings settings = Settings.DEFAULT.withWorkers(workers);
                try (Exploration exploration = new Exploration(system::copy, settings)) {
                    int runs = 0;
                    long states = 0;
                    Report report = exploration.run(Bounds.NONE.withStates(1));
                    while (report.cover().ended() != Ended.COMPLETE) {
                        assertThat(report.cover().ended()).as(where).isIn(Ended.STATES, Ended.DEPTH);
                        states = report.cover().states();
                        report = exploration.run(
                                random.nextBoolean()
                                        ? Bounds.NONE.withStates(states + 1 + random.nextInt(200))
                                        : Bounds.NONE.withDepth(report.cover().depth() + random.nextInt(2)));
                        assertThat(report.cover().states()).as(where).isGreaterThanOrEqualTo(states);
                        runs++;
                    }
                    assertThat(report.cover().states()).as(where).isEqualTo(expected.states());
                    assertThat(report.cover().transitions()).as(where).isEqualTo(expected.transitions());
                    assertThat(report.cover().depth()).as(where).isEqualTo(expected.deepest);
                    assertThat(runs).as(where).isPositive();
                }
            }
        }
    }
}
