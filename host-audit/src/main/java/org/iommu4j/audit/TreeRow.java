// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.List;
import java.util.OptionalInt;

/**
 * A row of the tree: one function, or several that are folded into one.
 *
 * @param devices its functions
 * @param text what a fold is called; empty where the row is one function
 * @param depth how many rows it is below, 0 at the top
 * @param parent the index of the row above it in the tree, -1 at the top
 * @param bus the bus of which it is the first row, empty where it is none or buses are not shown
 */
record TreeRow(List<AuditedDevice> devices, String text, int depth, int parent, String bus) {
    /** Returns whether it stands for several functions. */
    boolean isFold() {
        return !text.isEmpty();
    }

    /** Returns the one group that it is part of; empty where it has none, or several. */
    OptionalInt group() {
        List<OptionalInt> groups =
                devices.stream().map(AuditedDevice::group).distinct().toList();
        return groups.size() == 1 ? groups.get(0) : OptionalInt.empty();
    }

    /** Returns of how many groups its functions are. */
    long groups() {
        return devices.stream()
                .map(AuditedDevice::group)
                .filter(OptionalInt::isPresent)
                .distinct()
                .count();
    }
}
