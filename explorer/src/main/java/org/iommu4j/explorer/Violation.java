// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.List;

/**
 * A state in which a property does not hold, and a shortest path to it from the initial state.
 *
 * <p>If several states at that distance violate properties, it is the one with the most important property, and of
 * these the one with the smallest fingerprint; so it does not depend on the number of workers. Several paths can be
 * shortest, and with several workers it can be any of them.
 *
 * @param property the name of the property, or {@link Property#STUCK}
 * @param path the steps, the first to be performed first
 */
public record Violation(String property, List<Step> path) {
    /** Copies the path. */
    public Violation {
        path = List.copyOf(path);
        if (property.isEmpty()) {
            throw new IllegalArgumentException("a violation of nothing");
        }
    }

    /** Returns the ordinals of the steps, as {@link TransitionSystem#replay} takes them. */
    public int[] actions() {
        return path.stream().mapToInt(Step::action).toArray();
    }
}
