// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/** A table of states and actions by chance; a saved state has words that its number is hidden in. */
final class RandomSystem implements TransitionSystem {
    static final int NOT_ENABLED = -1;

    final int[][] successor;
    final boolean[] rests;
    final boolean[][] holds;
    private final int words;
    private final int salt;
    private int state;

    /**
     * Makes a system.
     *
     * @param states how many, of which only some may be reachable
     * @param actions how many
     * @param enabled how likely an action is enabled
     * @param violations how likely a property is violated
     */
    RandomSystem(Random random, int states, int actions, double enabled, double violations) {
        words = 1 + random.nextInt(MAX_WORDS);
        salt = random.nextInt();
        successor = new int[states][actions];
        rests = new boolean[states];
        holds = new boolean[states][2];
        for (int s = 0; s < states; s++) {
            for (int a = 0; a < actions; a++) {
                int near = Math.floorMod(s + random.nextInt(50) - 20, states);
                successor[s][a] = random.nextDouble() < enabled
                        ? random.nextInt(10) == 0 ? random.nextInt(states) : near
                        : NOT_ENABLED;
            }
            rests[s] = violations == 0 || random.nextInt(3) > 0;
            holds[s][0] = random.nextDouble() >= violations;
            holds[s][1] = random.nextDouble() >= violations;
        }
    }

    private RandomSystem(RandomSystem other) {
        successor = other.successor;
        rests = other.rests;
        holds = other.holds;
        words = other.words;
        salt = other.salt;
    }

    /** Returns another live world of the same system. */
    RandomSystem copy() {
        return new RandomSystem(this);
    }

    int state() {
        return state;
    }

    @Override
    public int words() {
        return words;
    }

    @Override
    public int actions() {
        return successor[0].length;
    }

    @Override
    public List<Property> properties() {
        return IntStream.range(0, 2)
                .mapToObj(i -> new Property("property " + i, () -> holds[state][i]))
                .toList();
    }

    @Override
    public void reset() {
        state = 0;
    }

    @Override
    public int enabled(int[] into) {
        int count = 0;
        for (int a = 0; a < actions(); a++) {
            if (successor[state][a] != NOT_ENABLED) {
                into[count++] = a;
            }
        }
        return count;
    }

    @Override
    public void apply(int action) {
        state = successor[state][action];
    }

    @Override
    public long fingerprint() {
        return state * 0x9E3779B97F4A7C15L;
    }

    @Override
    public void save(long[] into, int at) {
        for (int word = 0; word < words; word++) {
            into[at + word] = ((long) state << 32) | ((salt + word) & 0xFFFF_FFFFL);
        }
    }

    @Override
    public void restore(long[] from, int at) {
        for (int word = 0; word < words; word++) {
            if ((int) from[at + word] != salt + word || from[at + word] >>> 32 != from[at] >>> 32) {
                throw new IllegalStateException("not a saved state");
            }
        }
        state = (int) (from[at] >>> 32);
    }

    @Override
    public boolean mayRest() {
        return rests[state];
    }
}
