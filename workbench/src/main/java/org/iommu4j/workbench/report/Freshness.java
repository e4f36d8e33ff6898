// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

/** How a value in a place compares with the last write. */
enum Freshness {
    /** The last write's, which memory lacks: who reads past the caches misses it. */
    ONLY_CACHED("newest, only cached"),
    /** The last write's. */
    NEWEST("newest"),
    /** An earlier one's. */
    OLD("old");

    private final String words;

    Freshness(String words) {
        this.words = words;
    }

    /** Returns the words for people. */
    String words() {
        return words;
    }
}
