// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.iommu4j.vfio.type1.IovaRange;
import org.jspecify.annotations.Nullable;

/**
 * Ranges of IOVA, each with its owner, that may overlap: what devices and domains reserve in an IOAS.
 *
 * <p>Not thread-safe. Source: {@code reserved_itree} and {@code allowed_itree} of {@code struct io_pagetable}.
 */
final class IovaSet {
    private record Owned(long first, long last, @Nullable Object owner) {}

    /** In the order of their starts. */
    private final List<Owned> ranges = new ArrayList<>();

    private @Nullable List<IovaRange> holes;

    boolean isEmpty() {
        return ranges.isEmpty();
    }

    void add(long first, long last, @Nullable Object owner) {
        ranges.add(new Owned(first, last, owner));
        ranges.sort(Comparator.comparing(Owned::first, Long::compareUnsigned));
        holes = null;
    }

    @SuppressWarnings("ReferenceEquality") // owners are objects, not values
    void removeOf(Object owner) {
        ranges.removeIf(range -> range.owner == owner);
        holes = null;
    }

    /** Returns whether a range shares a byte with {@code [first, last]}. */
    boolean overlaps(long first, long last) {
        for (Owned range : ranges) {
            if (Long.compareUnsigned(range.first, last) <= 0 && Long.compareUnsigned(first, range.last) <= 0) {
                return true;
            }
        }
        return false;
    }

    /** Returns what no range covers, lowest first. */
    List<IovaRange> holes() {
        List<IovaRange> known = holes;
        if (known == null) {
            known = new ArrayList<>();
            long next = 0;
            boolean ended = false;
            for (Owned range : ranges) {
                if (!ended && Long.compareUnsigned(next, range.first) < 0) {
                    known.add(new IovaRange(next, range.first - 1));
                }
                if (Long.compareUnsigned(range.last, next) >= 0) {
                    ended |= range.last == -1L;
                    next = range.last + 1;
                }
            }
            if (!ended) {
                known.add(new IovaRange(next, -1L));
            }
            holes = List.copyOf(known);
        }
        return known;
    }

    /** Returns the ranges, in the order of their starts. */
    List<IovaRange> list() {
        return ranges.stream()
                .map(range -> new IovaRange(range.first, range.last))
                .toList();
    }
}
