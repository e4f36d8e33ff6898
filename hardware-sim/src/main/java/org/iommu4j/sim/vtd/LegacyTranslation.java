// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.Translation;

/**
 * Translates requests without PASID in legacy mode: context, and then the second stage.
 *
 * <p>Source: VT-d 3.4.2, 3.7, 7.1.3. It has no state except the caches.
 */
final class LegacyTranslation {
    /** A thread's walk; it runs at most one at a time. */
    private static final ThreadLocal<SecondStageWalk> WALK = ThreadLocal.withInitial(SecondStageWalk::new);

    private final VtdCapabilities capabilities;
    private final Epoch epoch;
    private final ContextCache contexts;
    private final Iotlb iotlb;
    private final VtdLegacyTables tables;
    private final SecondStageWalker walker;
    private final int addressWidth;
    private final boolean snoop;

    LegacyTranslation(
            VtdCapabilities capabilities,
            Epoch epoch,
            ContextCache contexts,
            Iotlb iotlb,
            VtdLegacyTables tables,
            SecondStageWalker walker) {
        this.capabilities = capabilities;
        this.epoch = epoch;
        this.contexts = contexts;
        this.iotlb = iotlb;
        this.tables = tables;
        this.walker = walker;
        addressWidth = capabilities.addressWidth;
        snoop = capabilities.coherent;
    }

    /**
     * Translates an untranslated request.
     *
     * @return a {@link Translation}; see {@link Translations}
     */
    long translate(long rootTable, int requesterId, long address, boolean write) {
        // Before anything is looked up: entries that an invalidation overtakes must be neither used nor cached.
        long began = epoch.current();
        long context = contexts.lookup(requesterId);
        if (isWalked(context) && isInside(context, address)) {
            long entry = iotlb.lookup(ContextCache.domainId(context), address);
            if (entry == SetAssociativeCache.MISS) {
                entry = walk(context, address, write, began);
            }
            if (epoch.current() == began) {
                return (entry & (write ? Iotlb.W : Iotlb.R)) != 0
                        ? answer(address, context, entry)
                        : conclude(address, write, context, entry);
            }
        }
        return translateSlowly(rootTable, requesterId, address, write);
    }

    /** Handles contexts that are not in the cache or not walked, and walks that an invalidation overtook. */
    private long translateSlowly(long rootTable, int requesterId, long address, boolean write) {
        while (true) {
            long began = epoch.current();
            long context = context(rootTable, requesterId, began);
            long entry = SetAssociativeCache.MISS;
            if (isWalked(context) && isInside(context, address)) {
                entry = iotlb.lookup(ContextCache.domainId(context), address);
                if (entry == SetAssociativeCache.MISS) {
                    entry = walk(context, address, write, began);
                }
            }
            if (epoch.current() == began) {
                return conclude(address, write, context, entry);
            }
        }
    }

    /**
     * Handles a request of a device that has a TLB: a translation request, or one whose address the device translated.
     *
     * @param translated whether it is a request with a translated address
     */
    long forDeviceTlb(long rootTable, int requesterId, long address, boolean write, boolean translated) {
        long context;
        long began;
        do {
            began = epoch.current();
            context = context(rootTable, requesterId, began);
        } while (epoch.current() != began);
        if (ContextCache.isFault(context)) {
            // VT-d 7.1.3: reading the tables has found the condition.
            return blocked(context, ContextCache.reason(context));
        }
        if (ContextCache.type(context) != VtdLegacyTables.TT_DEVICE_TLB) {
            // VT-d 7.1.3, reason Dh.
            return blocked(context, FaultReason.DEVICE_TLB_BLOCKED);
        }
        if (!translated) {
            return translate(rootTable, requesterId, address, write);
        }
        // VT-d 7.1.3, reason Eh.
        return Translations.isInterrupt(address)
                ? blocked(context, FaultReason.OUTPUT_INTERRUPT_RANGE)
                : Translations.unchanged(address);
    }

    private long walk(long context, long address, boolean write, long began) {
        int domainId = ContextCache.domainId(context);
        SecondStageWalk walk = WALK.get();
        walk.start(context, snoop, began);
        long entry = walker.find(walk, address, write);
        if (!Iotlb.isFault(entry) || (capabilities.cachingMode && Iotlb.refusesAll(entry))) {
            iotlb.fill(domainId, address, entry, began);
        }
        return entry;
    }

    private long context(long rootTable, int requesterId, long began) {
        long context = contexts.lookup(requesterId);
        if (context == SetAssociativeCache.MISS) {
            context = tables.context(rootTable, requesterId);
            if (!ContextCache.isFault(context) || capabilities.cachingMode) {
                contexts.fill(requesterId, context, began);
            }
        }
        return context;
    }

    private long conclude(long address, boolean write, long context, long entry) {
        if (ContextCache.isFault(context)) {
            // VT-d 7.1.3: reading the tables has found the condition.
            return blocked(context, ContextCache.reason(context));
        }
        if (!isInside(context, address)) {
            // VT-d 7.1.3, reason 4h.
            return blocked(context, FaultReason.ADDRESS_BEYOND);
        }
        if (ContextCache.type(context) == VtdLegacyTables.TT_PASS_THROUGH) {
            return Translations.unchanged(address);
        }
        if (Iotlb.isFault(entry)) {
            int reason = Iotlb.reason(entry);
            // A cached not-present entry may come from a request of the other kind.
            boolean permission = reason == FaultReason.READ || reason == FaultReason.WRITE;
            int told = write ? FaultReason.WRITE : FaultReason.READ;
            // VT-d 7.1.3: the walk has found the condition.
            return blocked(context, permission ? told : reason);
        }
        if ((entry & (write ? Iotlb.W : Iotlb.R)) == 0) {
            // VT-d 7.1.3, reasons 5h and 6h.
            return blocked(context, write ? FaultReason.WRITE : FaultReason.READ);
        }
        return answer(address, context, entry);
    }

    private static long answer(long address, long context, long entry) {
        long physical = Iotlb.physical(entry, address);
        // VT-d 7.1.3, reason Eh.
        return Translations.isInterrupt(physical)
                ? blocked(context, FaultReason.OUTPUT_INTERRUPT_RANGE)
                : Translation.to(physical, (entry & Iotlb.SNP) != 0);
    }

    private static long blocked(long context, int reason) {
        boolean silent = ContextCache.faultProcessingDisabled(context) && FaultReason.isQualified(reason);
        return Translations.fault(reason, silent);
    }

    private static boolean isWalked(long context) {
        return context != SetAssociativeCache.MISS
                && !ContextCache.isFault(context)
                && ContextCache.type(context) != VtdLegacyTables.TT_PASS_THROUGH;
    }

    private boolean isInside(long context, long address) {
        return address >>> Math.min(addressWidth, 12 + 9 * ContextCache.levels(context)) == 0;
    }
}
