// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** The mappings of a container, disjoint, in unsigned order of address: an array, so that a look-up boxes nothing. */
final class DmaMappings {
    private @Nullable DmaMapping[] entries = new @Nullable DmaMapping[16];
    private int size;

    int size() {
        return size;
    }

    DmaMapping get(int index) {
        DmaMapping mapping = index < size ? entries[index] : null;
        if (mapping == null) {
            throw new IndexOutOfBoundsException("mapping " + index + " of " + size);
        }
        return mapping;
    }

    /** Returns the index of the first mapping that ends at or after the address; {@link #size()} when there is none. */
    int firstFrom(long iova) {
        int low = 0;
        int high = size;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (Long.compareUnsigned(get(middle).last(), iova) < 0) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }

    /** Returns the first mapping that shares a byte with {@code [first, last]}, or null. */
    @Nullable
    DmaMapping overlapping(long first, long last) {
        int index = firstFrom(first);
        if (index < size) {
            DmaMapping candidate = get(index);
            if (Long.compareUnsigned(candidate.iova(), last) <= 0) {
                return candidate;
            }
        }
        return null;
    }

    /** Adds a mapping that overlaps none. */
    void add(DmaMapping mapping) {
        int index = firstFrom(mapping.iova());
        if (size == entries.length) {
            entries = Arrays.copyOf(entries, size * 2);
        }
        System.arraycopy(entries, index, entries, index + 1, size - index);
        entries[index] = mapping;
        size++;
    }

    void remove(int index) {
        System.arraycopy(entries, index + 1, entries, index, size - index - 1);
        size--;
        entries[size] = null;
    }
}
