// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.intel.fmt.PasidEntry;
import org.jspecify.annotations.Nullable;

/**
 * A device as its unit's tables see it: the requester ids of its requests, its translation cache and its PASIDs.
 *
 * <p>It has buffers for the old entries of a change, so that detaching allocates nothing. The buffers and the PASID
 * table are used under the monitor of the {@link DeviceTables}.
 */
final class Requester {
    private static final int PASID_ENTRY_WORDS = PasidEntry.SIZE / 8;

    private final int[] ids;
    private final DeviceTlb tlb;
    private final int maxPasids;
    private final boolean asksForPages;
    private final long[] savedLow;
    private final long[] savedHigh;
    private final long[] savedPasidEntry = new long[PASID_ENTRY_WORDS];
    private @Nullable PasidTable pasidTable;

    /**
     * Makes a requester that is in no table yet.
     *
     * @param ids the requester ids, its own first and then those of bridges that send on its behalf
     * @param maxPasids the number of its PASIDs, 0 for none
     * @param asksForPages whether it may send page requests
     */
    Requester(int[] ids, DeviceTlb tlb, int maxPasids, boolean asksForPages) {
        this.ids = ids.clone();
        this.tlb = tlb;
        this.maxPasids = maxPasids;
        this.asksForPages = asksForPages;
        this.savedLow = new long[ids.length];
        this.savedHigh = new long[ids.length];
    }

    int[] ids() {
        return ids;
    }

    /** Returns its translation cache. */
    DeviceTlb tlb() {
        return tlb;
    }

    int maxPasids() {
        return maxPasids;
    }

    boolean asksForPages() {
        return asksForPages;
    }

    /** Returns the buffer for the low words of its context entries, one for each id. */
    long[] savedLow() {
        return savedLow;
    }

    /** Returns the buffer for the high words of its context entries, one for each id. */
    long[] savedHigh() {
        return savedHigh;
    }

    /** Returns the buffer for the words of one PASID entry. */
    long[] savedPasidEntry() {
        return savedPasidEntry;
    }

    PasidTable pasidTable() {
        PasidTable table = pasidTable;
        if (table == null) {
            throw new IllegalStateException("requester 0x" + Integer.toHexString(ids[0])
                    + " has no PASID table: its unit is in legacy mode, or it was not prepared");
        }
        return table;
    }

    void setPasidTable(PasidTable table) {
        pasidTable = table;
    }
}
