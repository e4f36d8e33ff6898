// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.BitSet;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;

/**
 * The PSCIDs of all units: tags of cached translations, one for each domain with a table.
 *
 * <p>Source: Linux {@code riscv_iommu_pscids}.
 */
final class Tags {
    private static final int FIRST = 1;

    /** How many a field of 20 bits tells apart. */
    private static final int COUNT = 1 << 20;

    private final BitSet taken = new BitSet();

    /** All tags below this one are in use, so that a search need not start from the beginning. */
    private int lowestFree = FIRST;

    /**
     * Takes a tag.
     *
     * @throws IommuException ENOMEM, as Linux has it, when all are in use
     */
    synchronized int take() {
        int tag = taken.nextClearBit(lowestFree);
        if (tag >= COUNT) {
            throw new IommuException(Errno.ENOMEM, "allocate: all " + (COUNT - FIRST) + " PSCIDs are in use");
        }
        taken.set(tag);
        lowestFree = tag + 1;
        return tag;
    }

    /** Gives a tag back. */
    synchronized void give(int tag) {
        taken.clear(tag);
        lowestFree = Math.min(lowestFree, tag);
    }
}
