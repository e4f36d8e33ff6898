// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.BitSet;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;

/** The 16-bit domain ids of a driver; 0 is never allocated ({@code pdom_ids} of Linux). */
final class DomainIds {
    /** The id in entries of blocked devices. */
    static final int NONE = 0;

    private static final int LIMIT = 1 << 16;

    private final BitSet used;

    /** All ids below this one are in use, so that a search need not start from the beginning. */
    private int lowestFree = NONE + 1;

    DomainIds() {
        this(new BitSet());
    }

    /** Makes the ids on a given empty set, for callers that count its searches. */
    DomainIds(BitSet used) {
        this.used = used;
        used.set(NONE);
    }

    /**
     * Allocates the lowest free id.
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
            throw new IllegalStateException("domain id 0x" + Integer.toHexString(id) + " is already free");
        }
        used.clear(id);
        lowestFree = Math.min(lowestFree, id);
    }

    /** Returns how many ids are allocated. */
    synchronized int inUse() {
        return used.cardinality() - 1;
    }
}
