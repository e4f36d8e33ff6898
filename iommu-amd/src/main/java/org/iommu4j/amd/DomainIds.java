// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.BitSet;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;

/** The 16-bit domain ids of a driver; 0 is never given out ({@code pdom_ids} of Linux). */
final class DomainIds {
    /** What entries of blocked devices carry. */
    static final int NONE = 0;

    private static final int LIMIT = 1 << 16;

    private final BitSet used;

    /** Every id below is in use, so that a search does not begin anew each time. */
    private int lowestFree = NONE + 1;

    DomainIds() {
        this(new BitSet());
    }

    /** Makes the ids, noted in an empty set, for those that count how far it is searched. */
    DomainIds(BitSet used) {
        this.used = used;
        used.set(NONE);
    }

    /**
     * Takes the lowest free id.
     *
     * @throws IommuException ENOSPC
     */
    synchronized int allocate() {
        int id = used.nextClearBit(lowestFree);
        lowestFree = id;
        if (id >= LIMIT) {
            throw new IommuException(Errno.ENOSPC, "all " + (LIMIT - 1) + " domain ids are in use");
        }
        used.set(id);
        return id;
    }

    synchronized void free(int id) {
        if (id == NONE || !used.get(id)) {
            throw new IllegalStateException("domain id 0x" + Integer.toHexString(id) + " is free already");
        }
        used.clear(id);
        lowestFree = Math.min(lowestFree, id);
    }

    /** Returns how many are given out. */
    synchronized int inUse() {
        return used.cardinality() - 1;
    }
}
