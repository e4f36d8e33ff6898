// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

/** Why an exploration stopped. */
public enum Ended {
    /** Every reachable state was found, and no property was violated. */
    COMPLETE("complete"),
    /** A property was violated, and all states that are no further away were found. */
    VIOLATION("ended at the first violation"),
    /** {@link Bounds#depth}. */
    DEPTH("bounded by depth"),
    /** {@link Bounds#states}. */
    STATES("bounded by the number of states"),
    /** {@link Bounds#time}. */
    TIME("bounded by time"),
    /** {@link Bounds#memory}. */
    MEMORY("bounded by memory"),
    /** The caller asked for it. */
    INTERRUPTED("interrupted");

    private final String text;

    Ended(String text) {
        this.text = text;
    }

    @Override
    public String toString() {
        return text;
    }
}
