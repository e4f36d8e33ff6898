// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.ImageFabric;

/**
 * Memory that bounds the number of words read from it during a visit.
 *
 * <p>{@link GuardedVisitor} stops a visit that finds too many entries. This stops one that finds none for hours:
 * directories of a damaged dump can lead to empty tables of a million PASIDs for each of 65,536 requesters. The silicon
 * here has a bound of its own, {@link org.iommu4j.sim.spi.TableListing}; this one applies to any silicon, and follows
 * the user's limit.
 */
public final class ReadBudget extends ImageFabric {
    /** For each entry that may be visited: its own word, and what is read again on the way to it. */
    private static final long READS_FOR_AN_ENTRY = 16;

    /** Enough to find out that none of 65,536 requesters has an entry, and less than the silicon's own bound. */
    private static final long LEAST = 1L << 25;

    private final long limit;
    private final long budget;
    private long left;

    /**
     * Makes a budget.
     *
     * @param limit how many entries may be visited
     */
    public ReadBudget(Fabric memory, long limit) {
        super(memory);
        this.limit = limit;
        this.budget = LEAST + READS_FOR_AN_ENTRY * Math.min(limit, Long.MAX_VALUE / READS_FOR_AN_ENTRY / 2);
        this.left = budget;
    }

    /** Begins a visit, which has the whole budget again. */
    public void begin() {
        left = budget;
    }

    @Override
    public long read(long physicalAddress, boolean snoop) {
        if (--left < 0) {
            throw new GuardedVisitor.LimitException("more than " + budget + " words read for at most " + limit
                    + " entries, so these tables are damaged or very large; --device shows one requester, --limit"
                    + " allows more entries");
        }
        return super.read(physicalAddress, snoop);
    }
}
