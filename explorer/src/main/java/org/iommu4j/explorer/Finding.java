// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.Comparator;
import org.jspecify.annotations.Nullable;

/**
 * A state that violates a property, by numbers.
 *
 * @param depth its distance from the initial state
 * @param property the index of the property; the number of properties for a state that is stuck
 * @param fingerprint its fingerprint
 * @param state its number among all workers' states
 */
record Finding(int depth, int property, long fingerprint, int state) implements Comparable<Finding> {
    private static final Comparator<Finding> ORDER = Comparator.comparingInt(Finding::depth)
            .thenComparingInt(Finding::property)
            .thenComparing(Finding::fingerprint, Long::compareUnsigned);

    @Override
    public int compareTo(Finding other) {
        return ORDER.compare(this, other);
    }

    /** Returns the one to report of two, if there is any. */
    static @Nullable Finding first(@Nullable Finding one, @Nullable Finding other) {
        if (one == null || other == null) {
            return one == null ? other : one;
        }
        return one.compareTo(other) <= 0 ? one : other;
    }
}
