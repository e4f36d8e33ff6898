// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

/**
 * Chooses the line that leaves a full set.
 *
 * <p>It must be a pure function, the same answer for the same arguments, so that a machine depends only on its events.
 */
@FunctionalInterface
public interface EvictionPolicy {
    /** The least recently used line leaves. */
    EvictionPolicy LEAST_RECENTLY_USED = (incomingLine, ways) -> ways - 1;

    /** The most recently used line leaves: bad for speed, good for finding code that relies on a line staying. */
    EvictionPolicy MOST_RECENTLY_USED = (incomingLine, ways) -> 0;

    /**
     * Chooses a line by how recently it was used.
     *
     * @param incomingLine physical address of the line that needs room
     * @param ways the number of lines in the set, all in use
     * @return 0 for the most recently used line, {@code ways - 1} for the least recently used one
     */
    int victim(long incomingLine, int ways);
}
