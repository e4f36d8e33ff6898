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

    Invalidation(VtdCapabilities capabilities, ContextCache contexts, Iotlb iotlb) {
        this.capabilities = capabilities;
        this.contexts = contexts;
        this.iotlb = iotlb;
    }

    int contexts(int granularity, int domainId, int requesterId, int functionMask) {
        switch (granularity) {
            case GLOBAL:
                contexts.invalidateAll();
                return GLOBAL;
            case DOMAIN:
                contexts.invalidateDomain(domainId);
                return DOMAIN;
            case SELECTIVE:
                contexts.invalidateDevice(domainId, requesterId, functionMask);
                return SELECTIVE;
            default:
                return REFUSED;
        }
    }

    int translations(int granularity, int domainId, long address, int addressMask) {
        switch (granularity) {
            case GLOBAL:
                iotlb.invalidateAll();
                return GLOBAL;
            case DOMAIN:
                iotlb.invalidateDomain(domainId);
                return DOMAIN;
            case SELECTIVE:
                if (!capabilities.pageSelective) {
                    iotlb.invalidateDomain(domainId);
                    return DOMAIN;
                }
                if (addressMask > capabilities.maxAddressMask) {
                    return REFUSED;
                }
                iotlb.invalidatePages(domainId, address, addressMask);
                return SELECTIVE;
            default:
                return REFUSED;
        }
    }

    void everything() {
        contexts.invalidateAll();
        iotlb.invalidateAll();
    }
}
