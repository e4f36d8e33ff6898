// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

/**
 * Chooses which line leaves a full set.
 *
 * <p>A pure function, so that a machine stays one of its events: it must answer the same for the same arguments.
 */
@FunctionalInterface
public interface EvictionPolicy {
    /** The least recently used line leaves. */
    EvictionPolicy LEAST_RECENTLY_USED = (incomingLine, ways) -> ways - 1;

    /** The most recently used line leaves: bad for speed, good for finding what relies on a line staying. */
    EvictionPolicy MOST_RECENTLY_USED = (incomingLine, ways) -> 0;

    /**
     * Chooses a line by how recently it was used.
     *
     * @param incomingLine physical address of the line that needs room
     * @param ways how many lines the set holds, all in use
     * @return 0 for the most recently used line, {@code ways - 1} for the least recently used one
     */
    int victim(long incomingLine, int ways);
}
