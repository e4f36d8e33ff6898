// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

/**
 * Invalidates a unit's caches: through its queue, or by registers.
 *
 * <p>Requests are collected until {@link #complete}; the caller holds the invalidator's lock from the first request on.
 */
interface Invalidator {
    /** Requests an invalidation of the context cache. */
    void contextCache(int granularity, int domainId, int sourceId);

    /**
     * Requests an invalidation of the IOTLB, by domain id.
     *
     * @param address first page, aligned to {@code 2^mask} pages, when the granularity is pages
     * @param leavesOnly whether no table was removed, so that cached tables may stay
     */
    void iotlb(int granularity, int domainId, long address, int mask, boolean leavesOnly);

    /** Requests an invalidation of the PASID cache; only for units in scalable mode, which have a queue. */
    void pasidCache(int granularity, int domainId, int pasid);

    /** Requests an invalidation of the IOTLB, by domain id and PASID; only for units in scalable mode. */
    void pasidIotlb(int granularity, int domainId, int pasid, long address, int mask, boolean leavesOnly);

    /** Requests an invalidation of 2^mask pages in a device's TLB; only for units with a queue. */
    void deviceTlb(DeviceTlb tlb, int pasid, long address, int mask);

    /** Requests an answer to a group of page requests; only for units with page requests, which have a queue. */
    void pageGroupResponse(int requesterId, int pasid, int group, int code);

    /**
     * Requests a drain: arrived page requests are written to their queue, or answered; only for units with page
     * requests.
     */
    void drainPageRequests();

    /** Waits for all requests, and returns whether they completed in time. */
    boolean complete();

    /** Describes its state, for the message about a time-out. */
    String state();
}
