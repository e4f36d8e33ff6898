// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

/**
 * The effect of invalidations on the caches, from registers or descriptors.
 *
 * <p>Source: VT-d 6.5.1. Granularities have one encoding in registers and in descriptors. Each method returns the
 * granularity performed, which may be coarser than the one requested.
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
    private final ScalableCaches scalable;

    Invalidation(
            VtdCapabilities capabilities,
            ContextCache contexts,
            Iotlb iotlb,
            PagingCache pagingCache,
            ScalableCaches scalable) {
        this.capabilities = capabilities;
        this.contexts = contexts;
        this.iotlb = iotlb;
        this.pagingCache = pagingCache;
        this.scalable = scalable;
    }

    /**
     * In scalable mode a context belongs to no domain: a domain's invalidation drops all, and a device's ignores the
     * domain.
     */
    int contexts(int granularity, int domainId, int requesterId, int functionMask) {
        return switch (granularity) {
            case GLOBAL -> {
                contexts.invalidateAll();
                scalable.invalidateContexts();
                yield GLOBAL;
            }
            case DOMAIN -> {
                contexts.invalidateDomain(domainId);
                scalable.invalidateContexts();
                yield DOMAIN;
            }
            case SELECTIVE -> {
                contexts.invalidateDevice(domainId, requesterId, functionMask);
                scalable.invalidateDevice(requesterId, functionMask);
                yield SELECTIVE;
            }
            default -> REFUSED;
        };
    }

    /**
     * Drops translations.
     *
     * @param leavesOnly the hint IH: no entry that points to a table has changed
     */
    int translations(int granularity, int domainId, long address, int addressMask, boolean leavesOnly) {
        return switch (granularity) {
            case GLOBAL -> {
                iotlb.invalidateAll();
                pagingCache.invalidateAll();
                scalable.invalidateTranslations();
                yield GLOBAL;
            }
            case DOMAIN -> domain(domainId);
            case SELECTIVE -> pages(domainId, address, addressMask, leavesOnly);
            default -> REFUSED;
        };
    }

    private int domain(int domainId) {
        iotlb.invalidateDomain(domainId);
        pagingCache.invalidateDomain(domainId);
        scalable.invalidateTranslationsOfDomain(domainId);
        return DOMAIN;
    }

    private int pages(int domainId, long address, int addressMask, boolean leavesOnly) {
        if (!capabilities.pageSelective) {
            return domain(domainId);
        }
        if (addressMask > capabilities.maxAddressMask) {
            return REFUSED;
        }
        iotlb.invalidatePages(domainId, address, addressMask);
        if (!leavesOnly) {
            pagingCache.invalidatePages(domainId, address, addressMask);
        }
        // It is unknown which of them went through these pages.
        scalable.invalidateNestedOfDomain(domainId);
        return SELECTIVE;
    }

    /** Drops PASID entries; returns false, and does nothing, for an invalid granularity. */
    boolean pasids(int granularity, int domainId, int pasid) {
        switch (granularity) {
            case 0 -> scalable.invalidatePasidsOfDomain(domainId);
            case 1 -> scalable.invalidatePasid(domainId, pasid);
            case 3 -> scalable.invalidatePasids();
            default -> {
                return false;
            }
        }
        return true;
    }

    /** Drops the first stage's translations for a PASID; returns false for an invalid granularity. */
    boolean pasidTranslations(
            int granularity, int domainId, int pasid, long address, int addressMask, boolean leavesOnly) {
        switch (granularity) {
            case 2 -> scalable.invalidateTranslationsOfPasid(domainId, pasid);
            case 3 -> scalable.invalidatePages(domainId, pasid, address, addressMask, leavesOnly);
            default -> {
                return false;
            }
        }
        return true;
    }

    void everything() {
        contexts.invalidateAll();
        iotlb.invalidateAll();
        pagingCache.invalidateAll();
        scalable.invalidateContexts();
        scalable.invalidatePasids();
        scalable.invalidateTranslations();
    }
}
