// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

/**
 * How a unit is told to forget what it cached: through its queue, or register by register.
 *
 * <p>Requests add up until {@link #complete}; the caller holds the invalidator's lock from the first request on.
 */
interface Invalidator {
    /** Asks for the context cache. */
    void contextCache(int granularity, int domainId, int sourceId);

    /**
     * Asks for the IOTLB.
     *
     * @param address first page, aligned to {@code 2^mask} pages, when the granularity is pages
     * @param leavesOnly whether no table was removed, so that cached tables may stay
     */
    void iotlb(int granularity, int domainId, long address, int mask, boolean leavesOnly);

    /** Waits for all that was asked, and returns whether it happened in time. */
    boolean complete();

    /** Says where it stands, for the message about a time-out. */
    String state();
}
