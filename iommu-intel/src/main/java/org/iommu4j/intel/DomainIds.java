// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.BitSet;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;

/** The domain ids of one unit: what its cached entries are tagged with. */
final class DomainIds {
    /** The first id that a domain gets: 0 tags entries that are not present, 1 is that of pass-through. */
    static final int FIRST = 2;

    /** The id of pass-through entries. */
    static final int PASS_THROUGH = 1;

    private final String unit;
    private final int count;
    private final BitSet taken;

    /** Every id below is taken, so that a search does not begin anew each time. */
    private int lowestFree = FIRST;

    /**
     * Makes the ids of a unit.
     *
     * @param unit the unit's name
     * @param count CAP.ND: how many there are, those that no domain gets among them
     */
    DomainIds(String unit, int count) {
        this(unit, count, new BitSet());
    }

    /** Makes the ids of a unit, noted in an empty set, for those that count how far it is searched. */
    DomainIds(String unit, int count, BitSet taken) {
        this.unit = unit;
        this.count = count;
        this.taken = taken;
    }

    /**
     * Takes an id.
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

    /** Gives an id back. */
    synchronized void give(int id) {
        if (!taken.get(id)) {
            throw new IllegalStateException(unit + ": domain id " + id + " is not in use");
        }
        taken.clear(id);
        lowestFree = Math.min(lowestFree, id);
    }
}
