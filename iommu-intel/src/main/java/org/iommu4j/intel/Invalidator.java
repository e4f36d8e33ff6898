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
     * Asks for the IOTLB, by domain id.
     *
     * @param address first page, aligned to {@code 2^mask} pages, when the granularity is pages
     * @param leavesOnly whether no table was removed, so that cached tables may stay
     */
    void iotlb(int granularity, int domainId, long address, int mask, boolean leavesOnly);

    /** Asks for the PASID cache; of units in scalable mode only, which have a queue. */
    void pasidCache(int granularity, int domainId, int pasid);

    /** Asks for the IOTLB, by domain id and PASID; of units in scalable mode only. */
    void pasidIotlb(int granularity, int domainId, int pasid, long address, int mask, boolean leavesOnly);

    /** Asks a device to forget 2^mask pages; of units with a queue only. */
    void deviceTlb(DeviceTlb tlb, int pasid, long address, int mask);

    /** Asks to answer a group of page requests; of units that take page requests only, which have a queue. */
    void pageGroupResponse(int requesterId, int pasid, int group, int code);

    /**
     * Asks to write page requests that have arrived to their queue, or to answer them; of units that take them only.
     */
    void drainPageRequests();

    /** Waits for all that was asked, and returns whether it happened in time. */
    boolean complete();

    /** Says where it stands, for the message about a time-out. */
    String state();
}
