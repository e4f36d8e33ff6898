// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import java.util.Collection;
import java.util.Iterator;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The mappings of a container, disjoint, in unsigned order of address.
 *
 * <p>A balanced tree, as in Linux: a container may have hundreds of thousands of mappings, added and removed in any
 * order.
 */
final class DmaMappings {
    private final NavigableMap<Long, DmaMapping> byIova;

    /** Makes an empty set. */
    DmaMappings() {
        this(new TreeMap<>(Long::compareUnsigned));
    }

    /**
     * Makes an empty set on a given tree, for callers that count its steps.
     *
     * @param byIova in unsigned order
     */
    DmaMappings(NavigableMap<Long, DmaMapping> byIova) {
        this.byIova = byIova;
    }

    int size() {
        return byIova.size();
    }

    /** Returns all mappings, lowest address first. */
    Collection<DmaMapping> all() {
        return byIova.values();
    }

    /** Returns the mappings that end at or after an address, lowest first; the iterator can remove. */
    Iterator<DmaMapping> from(long iova) {
        Map.Entry<Long, DmaMapping> below = byIova.lowerEntry(iova);
        boolean reaches = below != null && Long.compareUnsigned(below.getValue().last(), iova) >= 0;
        return byIova.tailMap(reaches ? below.getKey() : iova, true).values().iterator();
    }

    /** Returns the first mapping that shares a byte with {@code [first, last]}, or null. */
    @Nullable
    DmaMapping overlapping(long first, long last) {
        Map.Entry<Long, DmaMapping> start = byIova.floorEntry(first);
        if (start != null && Long.compareUnsigned(start.getValue().last(), first) >= 0) {
            return start.getValue();
        }
        Map.Entry<Long, DmaMapping> next = byIova.ceilingEntry(first);
        return next != null && Long.compareUnsigned(next.getKey(), last) <= 0 ? next.getValue() : null;
    }

    /** Returns whether a mapping lies partly in {@code [first, last]} and partly outside. */
    boolean cuts(long first, long last) {
        DmaMapping atStart = overlapping(first, first);
        DmaMapping atEnd = overlapping(last, last);
        return (atStart != null && atStart.iova != first) || (atEnd != null && atEnd.last() != last);
    }

    /** Adds a mapping that overlaps none. */
    void add(DmaMapping mapping) {
        byIova.put(mapping.iova, mapping);
    }
}
