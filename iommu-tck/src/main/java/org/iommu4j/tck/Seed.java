// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.util.Random;

/** Where a test's random numbers come from: {@code -Diommu4j.seed}, or the same number in each build. */
final class Seed {
    private static final String PROPERTY = "iommu4j.seed";

    private final long value = Long.getLong(PROPERTY, 20261130L);
    private boolean used;

    /** Returns random numbers, the same from each call. */
    Random random() {
        used = true;
        return new Random(value);
    }

    /** Returns the line of a failure that says how to replay it, empty where no random numbers were asked for. */
    @Override
    public String toString() {
        return used ? "\nseed " + value + ", -D" + PROPERTY + "=" + value + " replays it" : "";
    }
}
