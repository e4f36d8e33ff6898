// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.BitSet;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;

/** The domain ids of one unit, the tags of its cached entries. */
final class DomainIds {
    /** The first id for domains: 0 tags entries that are not present, 1 is the id of pass-through. */
    static final int FIRST = 2;

    /** The id of pass-through entries. */
    static final int PASS_THROUGH = 1;

    private final String unit;
    private final int count;
    private final BitSet taken;

    /** All ids below this one are in use, so that a search need not start from the beginning. */
    private int lowestFree = FIRST;

    /**
     * Makes the ids of a unit.
     *
     * @param unit the unit's name
     * @param count CAP.ND: the number of ids, including those that no domain gets
     */
    DomainIds(String unit, int count) {
        this(unit, count, new BitSet());
    }

    /** Makes the ids of a unit on a given empty set, for callers that count its searches. */
    DomainIds(String unit, int count, BitSet taken) {
        this.unit = unit;
        this.count = count;
        this.taken = taken;
    }

    /**
     * Allocates an id.
     *
     * @throws IommuException ENOSPC
     */
    synchronized int take() {
        int id = taken.nextClearBit(lowestFree);
        lowestFree = id;
        if (id >= count) {
            throw new IommuException(Errno.ENOSPC, unit + ": all " + (count - FIRST) + " domain ids are in use");
        }
        taken.set(id);
        return id;
    }

    /** Frees an id. */
    synchronized void give(int id) {
        if (!taken.get(id)) {
            throw new IllegalStateException(unit + ": domain id " + id + " is not in use");
        }
        taken.clear(id);
        lowestFree = Math.min(lowestFree, id);
    }
}
