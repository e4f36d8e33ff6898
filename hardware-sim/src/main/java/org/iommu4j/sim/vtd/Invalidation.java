// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

/**
 * What an invalidation does to the caches, however it is asked for.
 *
 * <p>Source: VT-d 6.5.1. Granularities have one encoding in registers and in descriptors. Each method returns the
 * granularity performed, which may be coarser than the one asked for.
 */
final class Invalidation {
    /** Nothing done: the request is incorrect. */
    static final int REFUSED = 0;
    /** Everything. */
    static final int GLOBAL = 1;
    /** One domain. */
    static final int DOMAIN = 2;
    /** One device, or some pages. */
    static final int SELECTIVE = 3;

    private final VtdCapabilities capabilities;
    private final ContextCache contexts;
    private final Iotlb iotlb;
    private final PagingCache pagingCache;

    Invalidation(VtdCapabilities capabilities, ContextCache contexts, Iotlb iotlb, PagingCache pagingCache) {
        this.capabilities = capabilities;
        this.contexts = contexts;
        this.iotlb = iotlb;
        this.pagingCache = pagingCache;
    }

    int contexts(int granularity, int domainId, int requesterId, int functionMask) {
        return switch (granularity) {
            case GLOBAL -> {
                contexts.invalidateAll();
                yield GLOBAL;
            }
            case DOMAIN -> {
                contexts.invalidateDomain(domainId);
                yield DOMAIN;
            }
            case SELECTIVE -> {
                contexts.invalidateDevice(domainId, requesterId, functionMask);
                yield SELECTIVE;
            }
            default -> REFUSED;
        };
    }

    int translations(int granularity, int domainId, long address, int addressMask, boolean leavesOnly) {
        return switch (granularity) {
            case GLOBAL -> {
                iotlb.invalidateAll();
                pagingCache.invalidateAll();
                yield GLOBAL;
            }
            case DOMAIN -> {
                iotlb.invalidateDomain(domainId);
                pagingCache.invalidateDomain(domainId);
                yield DOMAIN;
            }
            case SELECTIVE -> pages(domainId, address, addressMask, leavesOnly);
            default -> REFUSED;
        };
    }

    private int pages(int domainId, long address, int addressMask, boolean leavesOnly) {
        if (!capabilities.pageSelective) {
            iotlb.invalidateDomain(domainId);
            pagingCache.invalidateDomain(domainId);
            return DOMAIN;
        }
        if (addressMask > capabilities.maxAddressMask) {
            return REFUSED;
        }
        iotlb.invalidatePages(domainId, address, addressMask);
        if (!leavesOnly) {
            pagingCache.invalidatePages(domainId, address, addressMask);
        }
        return SELECTIVE;
    }

    void everything() {
        contexts.invalidateAll();
        iotlb.invalidateAll();
        pagingCache.invalidateAll();
    }
}
