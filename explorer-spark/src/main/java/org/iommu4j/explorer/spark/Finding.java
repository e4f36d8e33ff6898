// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer.spark;

import java.util.Comparator;
import org.jspecify.annotations.Nullable;

/**
 * A state that violates a property.
 *
 * @param property the index of the property; the number of properties for a state that is stuck
 * @param row the state; its path is as long as its depth
 */
record Finding(int property, Row row) {
    private static final Comparator<Finding> ORDER = Comparator.<Finding>comparingInt(
                    finding -> finding.row().path().length)
            .thenComparingInt(Finding::property)
            .thenComparing(Finding::row);

    /** Returns the one to report of two, if there is any: the nearest, of these the most important. */
    static @Nullable Finding first(@Nullable Finding one, @Nullable Finding other) {
        if (one == null || other == null) {
            return one == null ? other : one;
        }
        return ORDER.compare(one, other) <= 0 ? one : other;
    }
}
