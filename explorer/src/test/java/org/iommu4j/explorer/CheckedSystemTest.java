// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Systems that break one promise each. */
class CheckedSystemTest {
    /** Two counters modulo 5, all kept, until a test spoils something. */
    private static class Counters implements TransitionSystem {
        int first;
        int second;
        int forgotten;

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
            first = 0;
            second = 0;
        }

        @Override
        public int enabled(int[] into) {
            into[0] = 0;
            into[1] = 1;
            return 2;
        }

        @Override
        public void apply(int action) {
            forgotten++;
            if (action == 0) {
                first = (first + 1) % 5;
            } else {
                second = (second + 1) % 5;
            }
        }

        @Override
        public long fingerprint() {
            return first * 5L + second;
        }

        @Override
        public void save(long[] into, int at) {
            into[at] = (long) first << 32 | second;
        }

        @Override
        public void restore(long[] from, int at) {
            first = (int) (from[at] >>> 32);
            second = (int) from[at];
        }
    }

    private static void isFound(Counters broken, String message) {
        TransitionSystem checked = new CheckedSystem(broken);
        try (Exploration exploration = new Exploration(() -> checked, Settings.DEFAULT)) {
            assertThatIllegalStateException()
                    .isThrownBy(() -> exploration.run(Bounds.NONE))
                    .withMessageContaining(message);
        }
    }

    @Test
    void aRestoreThatForgetsAFieldIsFound() {
        isFound(
                new Counters() {
                    @Override
                    public void restore(long[] from, int at) {
                        first = (int) (from[at] >>> 32);
                    }
                },
                "the words restored are not those saved");
    }

    @Test
    void aFingerprintOfMoreThanTheWordsIsFound() {
        isFound(
                new Counters() {
                    @Override
                    public long fingerprint() {
                        return forgotten;
                    }
                },
                "the fingerprint changes by a restore");
    }

    @Test
    void aSecondFingerprintOfMoreThanTheWordsIsFound() {
        isFound(
                new Counters() {
                    @Override
                    public long secondFingerprint() {
                        return forgotten;
                    }
                },
                "the second fingerprint changes by a restore");
        isFound(
                new Counters() {
                    @Override
                    public long secondCanonicalFingerprint() {
                        return forgotten;
                    }
                },
                "the second fingerprint changes by a restore");
    }

    @Test
    void anActionThatIsEnabledByMoreThanTheWordsIsFound() {
        isFound(
                new Counters() {
                    @Override
                    public int enabled(int[] into) {
                        super.enabled(into);
                        return 1 + forgotten % 2;
                    }
                },
                "the enabled actions change by a restore");
    }

    @Test
    void aPropertyOfMoreThanTheWordsIsFound() {
        isFound(
                new Counters() {
                    @Override
                    public List<Property> properties() {
                        return List.of(new Property("even", () -> forgotten % 2 == 0));
                    }
                },
                "a property changes by a restore");
    }

    @Test
    void anActionByChanceIsFound() {
        Random random = new Random(1);
        isFound(
                new Counters() {
                    @Override
                    public void apply(int action) {
                        super.apply(random.nextInt(2));
                    }
                },
                "the same action leads elsewhere the second time: action");
    }

    @Test
    void anUndoThatUndoesTooLittleIsFound() {
        isFound(
                new Counters() {
                    @Override
                    public void undo(long[] saved, int at) {
                        second = (int) saved[at];
                    }
                },
                "undo does not return");
    }
}
