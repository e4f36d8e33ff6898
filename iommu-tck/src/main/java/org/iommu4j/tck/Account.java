// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.util.Random;

/** What a failure tells of its test beside the promise: the steps, and the seed that replays them. */
class Account {
    private final Steps steps;
    private final Seed seed;

    Account() {
        this(new Steps(), new Seed());
    }

    private Account(Steps steps, Seed seed) {
        this.steps = steps;
        this.seed = seed;
    }

    /** Shares another's steps and seed. */
    Account(Account other) {
        this(other.steps, other.seed);
    }

    /** Returns what the test did. */
    public Steps steps() {
        return steps;
    }

    /** Returns random numbers; their seed is printed when the test fails, and {@code -Diommu4j.seed} sets it. */
    public Random random() {
        return seed.random();
    }

    /** Returns the lines of a failure that say how to come to it again. */
    String lines() {
        return (steps.isEmpty() ? "" : "\nafter these steps:\n" + steps) + seed;
    }
}
