// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import java.util.ArrayList;
import java.util.List;

/** The entries that led to where a visit is, from the top down. */
final class WalkPath {
    private final List<WalkStep> steps = new ArrayList<>();

    /** Starts at the top of another requester's tables. */
    void clear() {
        steps.clear();
    }

    /** Leaves the tables in which an entry of a level can't be. */
    void ascendTo(int level) {
        while (!steps.isEmpty() && steps.get(steps.size() - 1).level() <= level) {
            steps.remove(steps.size() - 1);
        }
    }

    /** Goes down through an entry. */
    void descend(int level, long entryAddress, long entry) {
        ascendTo(level);
        steps.add(new WalkStep(level, entryAddress, entry));
    }

    int depth() {
        return steps.size();
    }

    List<WalkStep> steps() {
        return List.copyOf(steps);
    }
}
