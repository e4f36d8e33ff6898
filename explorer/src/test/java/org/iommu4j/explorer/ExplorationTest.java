// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntUnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ExplorationTest {
    /** A counter from 0 that actions 0 and 1 increase by 1 and by 2, up to a limit. */
    private static class Counter implements TransitionSystem {
        final int limit;
        private final IntUnaryOperator fingerprint;
        int value;

        Counter(int limit) {
            this(limit, value -> value);
        }

        Counter(int limit, IntUnaryOperator fingerprint) {
            this.limit = limit;
            this.fingerprint = fingerprint;
        }

        @Override
        public int words() {
            return 1;
        }

        @Override
        public int actions() {
            return 2;
        }

        @Override
        public List<Property> properties() {
            return List.of(new Property("not 11", () -> value != 11), new Property("not 12", () -> value != 12));
        }

        @Override
        public void reset() {
            value = 0;
        }

        @Override
        public int enabled(int[] into) {
            int count = 0;
            for (int i = 0; i < 2; i++) {
                if (value + i < limit) {
                    into[count++] = i;
                }
            }
            return count;
        }

        @Override
        public void apply(int action) {
            value += 1 + action;
        }

        @Override
        public long fingerprint() {
            return fingerprint.applyAsInt(value);
        }

        @Override
        public void save(long[] into, int at) {
            into[at] = value;
        }

        @Override
        public void restore(long[] from, int at) {
            value = (int) from[at];
        }

        @Override
        public boolean mayRest() {
            return limit != 9;
        }

        @Override
        public String describe(int action) {
            return value + " + " + (1 + action);
        }
    }

    /** The example of docs/explorer.md: two lights, of which the second may be switched only when the first is lit. */
    private static final class Lights implements TransitionSystem {
        private long lit;

        @Override
        public int words() {
            return 1;
        }

        @Override
        public int actions() {
            return 2;
        }

        @Override
        public void reset() {
            lit = 0;
        }

        @Override
        public int enabled(int[] into) {
            into[0] = 0;
            into[1] = 1;
            return (lit & 1) == 0 ? 1 : 2;
        }

        @Override
        public void apply(int action) {
            lit ^= 1L << action;
        }

        @Override
        public long fingerprint() {
            return lit;
        }

        @Override
        public boolean isFingerprintExact() {
            return true;
        }

        @Override
        public void save(long[] into, int at) {
            into[at] = lit;
        }

        @Override
        public void restore(long[] from, int at) {
            lit = from[at];
        }

        @Override
        public List<Property> properties() {
            return List.of(new Property("never the second alone", () -> lit != 2));
        }
    }

    @Test
    void theSecondLightIsAloneAfterThreeSwitches() {
        try (Exploration exploration = new Exploration(Lights::new, Settings.DEFAULT)) {
            Violation violation = exploration.run(Bounds.NONE).violation().orElseThrow();
            assertThat(violation.property()).isEqualTo("never the second alone");
            assertThat(violation.actions()).containsExactly(0, 1, 0);
        }
    }

    @AfterEach
    void nobodyIsInterrupted() {
        assertThat(Thread.interrupted()).isFalse();
    }

    private static Report explore(Counter system, int workers, Bounds bounds) {
        Settings settings = Settings.DEFAULT.withWorkers(workers);
        try (Exploration exploration = new Exploration(() -> new Counter(system.limit, system.fingerprint), settings)) {
            return exploration.run(bounds);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 5})
    void theShortestWayToTheMostImportantViolationIsReplayedStepByStep(int workers) {
        Report report = explore(new Counter(100), workers, Bounds.NONE);
        Violation violation = report.violation().orElseThrow();
        assertThat(violation.property()).isEqualTo("not 11");
        assertThat(violation.path()).hasSize(6);
        Counter replayed = new Counter(100);
        replayed.replay(violation.actions());
        assertThat(replayed.value).isEqualTo(11);
        assertThat(violation.path().get(0).text()).startsWith("0 + ");
        assertThat(report.cover().ended()).isEqualTo(Ended.VIOLATION);
        assertThat(report.cover().depth()).isEqualTo(6);
        assertThat(report.cover().states()).as("0 to 12").isEqualTo(13);
        assertThat(report.cover().transitions()).as("two from each of 0 to 10").isEqualTo(22);
    }

    @Test
    void aStateWithoutActionsThatIsNoEndIsStuck() {
        Report report = explore(new Counter(9), 1, Bounds.NONE);
        Violation violation = report.violation().orElseThrow();
        assertThat(violation.property()).isEqualTo(Property.STUCK);
        assertThat(violation.path()).hasSize(5);
        assertThat(explore(new Counter(8), 1, Bounds.NONE).violation()).isEmpty();
    }

    @Test
    void theInitialStateIsCheckedAsAnyOther() {
        Settings settings = Settings.DEFAULT;
        Counter wrong = new Counter(20) {
            @Override
            public void reset() {
                value = 12;
            }
        };
        try (Exploration exploration = new Exploration(() -> wrong, settings)) {
            Report report = exploration.run(Bounds.NONE);
            assertThat(report.violation().orElseThrow()).isEqualTo(new Violation("not 12", List.of()));
            assertThat(report.cover().transitions()).isZero();
            assertThat(exploration.run(Bounds.NONE).violation()).isEqualTo(report.violation());
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3})
    void boundsAreStatedAndALaterRunGoesOn(int workers) {
        Settings settings = Settings.DEFAULT.withWorkers(workers);
        try (Exploration exploration = new Exploration(() -> new Counter(7), settings)) {
            Cover cover = exploration.run(Bounds.NONE.withDepth(0)).cover();
            assertThat(cover.ended()).isEqualTo(Ended.DEPTH);
            assertThat(cover.states()).isEqualTo(1);
            assertThat(cover.depth()).isZero();

            cover = exploration.run(Bounds.NONE.withDepth(2)).cover();
            assertThat(cover.ended()).isEqualTo(Ended.DEPTH);
            assertThat(cover.states()).as("0 to 4").isEqualTo(5);
            assertThat(cover.depth()).isEqualTo(2);
            assertThat(cover.statement()).contains("5 states, 6 transitions, depth 2: bounded by depth");

            cover = exploration.run(Bounds.NONE.withStates(6)).cover();
            assertThat(cover.ended()).isEqualTo(Ended.STATES);
            assertThat(cover.states()).isBetween(6L, 7L);

            cover = exploration.run(Bounds.NONE).cover();
            assertThat(cover.ended()).isEqualTo(Ended.COMPLETE);
            assertThat(cover.states()).isEqualTo(8);
            assertThat(cover.transitions()).isEqualTo(13);
            assertThat(cover.depth()).isEqualTo(4);
            assertThat(cover.statement()).contains("complete");
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void timeMemoryAndTheCallerStopAnExplorationThatGoesOnAfterwards(int workers) {
        Settings settings = Settings.DEFAULT.withWorkers(workers);
        try (Exploration exploration = new Exploration(() -> new MesiCaches(3, 2, 2), settings)) {
            assertThat(exploration
                            .run(Bounds.NONE.withTime(Duration.ofNanos(1)))
                            .cover()
                            .ended())
                    .isEqualTo(Ended.TIME);
            assertThat(exploration.run(Bounds.NONE.withMemory(1)).cover().ended())
                    .isEqualTo(Ended.MEMORY);
            AtomicInteger asked = new AtomicInteger();
            Cover stopped = exploration
                    .run(Bounds.NONE, () -> asked.incrementAndGet() > 3)
                    .cover();
            assertThat(stopped.ended()).isEqualTo(Ended.INTERRUPTED);
            assertThat(stopped.states()).isBetween(1L, 2915L);
            assertThat(stopped.statement()).contains("interrupted");

            Thread.currentThread().interrupt();
            assertThat(exploration.run(Bounds.NONE).cover().ended()).isEqualTo(Ended.INTERRUPTED);
            assertThat(Thread.interrupted()).isTrue();

            Cover cover = exploration.run(Bounds.NONE).cover();
            assertThat(cover.ended()).isEqualTo(Ended.COMPLETE);
            assertThat(cover.states()).isEqualTo(2916);
            assertThat(cover.transitions()).isEqualTo(91_692);
        }
    }

    @Test
    void theReportSaysHowManyStatesCollisionsMayHide() {
        Cover cover = explore(new Counter(7), 1, Bounds.NONE).cover();
        assertThat(cover.expectedCollisions()).isEqualTo(28 / 0x1p64);
        assertThat(cover.statement()).contains("1.5e-18 states expected to be missed");
    }

    @Test
    void aSystemWhosePathsLeadElsewhereTheSecondTimeIsRefused() {
        AtomicInteger resets = new AtomicInteger();
        Counter moody = new Counter(100) {
            @Override
            public void reset() {
                value = resets.getAndIncrement() == 0 ? 0 : 1;
            }
        };
        try (Exploration exploration = new Exploration(() -> moody, Settings.DEFAULT)) {
            assertThatIllegalStateException()
                    .isThrownBy(() -> exploration.run(Bounds.NONE))
                    .withMessageContaining("elsewhere");
            assertThatIllegalStateException()
                    .isThrownBy(() -> exploration.run(Bounds.NONE))
                    .withMessageContaining("earlier run failed");
        }
    }

    @Test
    void aFailureOfOneWorkerEndsAll() {
        Settings settings = Settings.DEFAULT.withWorkers(4);
        try (Exploration exploration = new Exploration(
                () -> new Counter(7) {
                    @Override
                    public void apply(int action) {
                        if (value == 5) {
                            throw new UnsupportedOperationException("five");
                        }
                        super.apply(action);
                    }
                },
                settings)) {
            assertThatThrownBy(() -> exploration.run(Bounds.NONE))
                    .isInstanceOf(UnsupportedOperationException.class)
                    .hasMessage("five");
        }
    }

    @Test
    void aPathIsRefusedAtTheStepThatIsNotPossible() {
        Counter counter = new Counter(2);
        assertThatIllegalStateException()
                .isThrownBy(() -> counter.replay(new int[] {0, 1}))
                .withMessage("step 1 is not possible there: 1");
        assertThat(counter.value).isEqualTo(1);
    }

    @Test
    void whatDoesNotFitIsRefused() {
        Counter wide = new Counter(5) {
            @Override
            public int words() {
                return 17;
            }
        };
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Exploration(() -> wide, Settings.DEFAULT))
                .withMessage("a state of 17 words");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Bounds.NONE.withStates(0))
                .withMessage("number of states is 0, expected 1 to 4000000000");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Bounds.NONE.withDepth(-1))
                .withMessage("depth is -1, expected 0 or more");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Bounds.NONE.withTime(Duration.ZERO))
                .withMessage("time is PT0S, expected more than 0");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Bounds.NONE.withMemory(0))
                .withMessage("memory is 0, expected 1 byte or more");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Settings.DEFAULT.withWorkers(0))
                .withMessage("number of workers is 0, expected 1 to 64");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Settings.DEFAULT.withFrontierMemory(-1))
                .withMessage("memory of the frontier is -1, expected 0 bytes or more");
        assertThatIllegalArgumentException().isThrownBy(() -> new Property(Property.STUCK, () -> true));
    }

    /** A collision hides a state, as the report warns. */
    @Test
    void statesWithOneFingerprintAreOneState() {
        Report report = explore(new Counter(8, value -> value & ~1), 1, Bounds.NONE);
        assertThat(report.cover().states()).isLessThan(9);
    }
}
