// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

class SecondFingerprintTest {
    /** Words that differ in few bits, as those of states do. */
    @Test
    void statesThatDifferInOneOrTwoBitsDifferInHalfOfTheSecondFingerprint() {
        long seed = Long.getLong("iommu4j.seed", System.nanoTime());
        Random random = new Random(seed);
        long hash = random.nextLong();
        long word = random.nextLong();
        long mixed = TransitionSystem.mixSecond(hash, word);
        Set<Long> all = new HashSet<>();
        all.add(mixed);
        long changed = 0;
        int pairs = 0;
        for (int one = 0; one < Long.SIZE; one++) {
            for (int other = 0; other < one; other++) {
                long neighbour = TransitionSystem.mixSecond(hash, word ^ 1L << one ^ 1L << other);
                assertThat(all.add(neighbour)).as("seed %d", seed).isTrue();
                changed += Long.bitCount(mixed ^ neighbour);
                pairs++;
            }
        }
        assertThat((double) changed / pairs).as("seed %d", seed).isBetween(30.0, 34.0);
    }

    /** A chain of multiplications lets two words that differ in their highest bits cancel each other; this does not. */
    @Test
    void differencesOfTwoWordsDoNotCancelEachOther() {
        Set<Long> all = new HashSet<>();
        for (int first = 0; first < Long.SIZE; first++) {
            for (int second = 0; second < Long.SIZE; second++) {
                for (int third = 0; third < second; third++) {
                    long hash = TransitionSystem.mixSecond(2, 1L << first);
                    all.add(TransitionSystem.mixSecond(hash, 1L << second ^ 1L << third));
                }
            }
        }
        assertThat(all).hasSize(Long.SIZE * Long.SIZE * (Long.SIZE - 1) / 2);
    }

    @Test
    void theDefaultIsOfTheSavedWordsAlone() {
        MesiCaches one = new MesiCaches(2, 2, 2);
        MesiCaches other = new MesiCaches(2, 2, 2);
        long initial = one.secondFingerprint();
        one.apply(1);
        assertThat(one.secondFingerprint()).isNotEqualTo(initial).isNotEqualTo(one.fingerprint());
        long[] words = new long[1];
        one.save(words, 0);
        other.restore(words, 0);
        assertThat(other.secondFingerprint()).isEqualTo(one.secondFingerprint());
        assertThat(other.secondCanonicalFingerprint()).isEqualTo(one.secondFingerprint());
    }
}
