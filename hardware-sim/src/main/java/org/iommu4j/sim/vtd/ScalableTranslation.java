// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * Translates requests in scalable mode: context, PASID, and then first stage, second stage, both or neither.
 *
 * <p>Source: VT-d 3.4.3 (from request to PASID table entry) and 7.1.3 (faults); {@link FirstStageWalker} and {@link
 * SecondStageWalker} walk the tables. All requests are users' and none executes. It has no state except the caches;
 * each thread has its own scratch words.
 */
final class ScalableTranslation {
    /** An untranslated request, as coded in the fault log's AT. */
    static final int UNTRANSLATED = 0;
    /** A translation request. */
    static final int TRANSLATION_REQUEST = 1;
    /** A translated request. */
    static final int TRANSLATED = 2;

    private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

    private final VtdCapabilities capabilities;
    private final int hostAddressWidth;
    private final Epoch epoch;
    private final ScalableCaches caches;
    private final Iotlb iotlb;
    private final VtdScalableTables tables;
    private final FirstStageWalker firstStage;
    private final SecondStageWalker secondStage;

    /** The working state of one translation. */
    private static final class Scratch {
        final WideCache.Entry context = new WideCache.Entry();
        final WideCache.Entry pasid = new WideCache.Entry();
        final FirstStageWalk firstStage = new FirstStageWalk();
        final SecondStageWalk secondStage = new SecondStageWalk();
        long began;
    }

    ScalableTranslation(
            VtdCapabilities capabilities,
            int hostAddressWidth,
            Fabric fabric,
            Epoch epoch,
            ScalableCaches caches,
            Iotlb iotlb,
            SecondStageWalker secondStage) {
        this.capabilities = capabilities;
        this.hostAddressWidth = hostAddressWidth;
        this.epoch = epoch;
        this.caches = caches;
        this.iotlb = iotlb;
        this.secondStage = secondStage;
        tables = new VtdScalableTables(capabilities, hostAddressWidth, fabric);
        firstStage = new FirstStageWalker(capabilities, hostAddressWidth, fabric, caches, secondStage);
    }

    /**
     * Translates a request.
     *
     * @param addressType {@link #UNTRANSLATED}, {@link #TRANSLATION_REQUEST} or {@link #TRANSLATED}
     * @return a {@link Translation}; a fault is {@link Translations#isSilent silent} when it isn't recorded
     */
    long translate(long rootTable, int requesterId, int pasid, long address, boolean write, int addressType) {
        Scratch scratch = SCRATCH.get();
        while (true) {
            scratch.began = epoch.current();
            long answer = attempt(scratch, rootTable, requesterId, pasid, address, write, addressType);
            if (epoch.current() == scratch.began) {
                return answer;
            }
        }
    }

    private long attempt(
            Scratch scratch,
            long rootTable,
            int requesterId,
            int requestPasid,
            long address,
            boolean write,
            int addressType) {
        WideCache.Entry context = scratch.context;
        findContext(scratch, rootTable, requesterId);
        if (VtdScalableTables.isRefusal(context)) {
            // VT-d 7.1.3: reading the tables has found the condition.
            return refused(context, VtdScalableTables.reason(context));
        }
        if (addressType != UNTRANSLATED && !VtdScalableTables.allowsDeviceTlb(context)) {
            // VT-d 7.1.3, reason 44h (SCT.5).
            return refused(context, FaultReason.SM_DEVICE_TLB_BLOCKED);
        }
        boolean withPasid = requestPasid != TranslationUnit.NO_PASID;
        if (withPasid && !VtdScalableTables.allowsPasids(context)) {
            // VT-d 7.1.3, reason 45h (SCT.6).
            return refused(context, FaultReason.SM_PASID_DISABLED);
        }
        int pasid = withPasid ? requestPasid : VtdScalableTables.ridPasid(context);
        if (pasid >>> VtdScalableTables.pasidBits(context) != 0) {
            // VT-d 7.1.3, reasons 46h (SCT.7) and 48h (SCT.9).
            return refused(context, withPasid ? FaultReason.SM_PASID_BEYOND : FaultReason.SM_RID_PASID);
        }
        if (addressType == TRANSLATED) {
            // VT-d 7.1.3, reason 87h (SGN.8).
            return Translations.isInterrupt(address)
                    ? refused(context, FaultReason.SM_OUTPUT_INTERRUPT_RANGE)
                    : Translations.unchanged(address);
        }
        WideCache.Entry entry = scratch.pasid;
        findPasid(scratch, requesterId, pasid);
        if (VtdScalableTables.isRefusal(entry)) {
            // VT-d 7.1.3: reading the tables has found the condition.
            return refused(entry, VtdScalableTables.reason(entry));
        }
        return switch (VtdScalableTables.type(entry)) {
            case VtdScalableTables.PASS_THROUGH -> passThrough(entry, address);
            case VtdScalableTables.SECOND_STAGE -> bySecondStage(scratch, address, write);
            default -> byFirstStage(scratch, pasid, address, write);
        };
    }

    /**
     * Checks whether a device may send page requests.
     *
     * @return a fault, as {@link #translate} returns it, or 0
     */
    long pageRequestProblem(long rootTable, int requesterId, int pasid) {
        Scratch scratch = SCRATCH.get();
        scratch.began = epoch.current();
        WideCache.Entry context = scratch.context;
        findContext(scratch, rootTable, requesterId);
        if (VtdScalableTables.isRefusal(context)) {
            // VT-d 7.1.3: reading the tables has found the condition.
            return refused(context, VtdScalableTables.reason(context));
        }
        if (!VtdScalableTables.allowsPageRequests(context)) {
            // VT-d 7.1.3, reason 47h (SCT.8).
            return refused(context, FaultReason.SM_PAGE_REQUEST_BLOCKED);
        }
        if (pasid != TranslationUnit.NO_PASID && !VtdScalableTables.allowsPasids(context)) {
            // VT-d 7.1.3, reason 45h (SCT.6).
            return refused(context, FaultReason.SM_PASID_DISABLED);
        }
        // VT-d 7.1.3, reason 46h (SCT.7).
        return pasid != TranslationUnit.NO_PASID && pasid >>> VtdScalableTables.pasidBits(context) != 0
                ? refused(context, FaultReason.SM_PASID_BEYOND)
                : 0;
    }

    private long passThrough(WideCache.Entry entry, long address) {
        if (address >>> hostAddressWidth != 0) {
            // VT-d 7.1.3, reason 83h (SGN.4).
            return refused(entry, FaultReason.SM_ADDRESS_BEYOND);
        }
        // VT-d 7.1.3, reason 87h (SGN.8).
        return Translations.isInterrupt(address)
                ? refused(entry, FaultReason.SM_OUTPUT_INTERRUPT_RANGE)
                : Translations.unchanged(address);
    }

    private void findContext(Scratch scratch, long rootTable, int requesterId) {
        if (!caches.lookupContext(requesterId, scratch.context)) {
            tables.readContext(rootTable, requesterId, scratch.context);
            if (!VtdScalableTables.isRefusal(scratch.context) || capabilities.cachingMode) {
                caches.fillContext(requesterId, scratch.context, scratch.began);
            }
        }
    }

    private void findPasid(Scratch scratch, int requesterId, int pasid) {
        if (!caches.lookupPasid(requesterId, pasid, scratch.pasid)) {
            tables.readPasid(scratch.context, pasid, scratch.pasid);
            if (!VtdScalableTables.isRefusal(scratch.pasid) || capabilities.cachingMode) {
                caches.fillPasid(requesterId, pasid, scratch.pasid, scratch.began);
            }
        }
    }

    private long bySecondStage(Scratch scratch, long address, boolean write) {
        WideCache.Entry entry = scratch.pasid;
        if (secondStage.isBeyond(VtdScalableTables.secondStageLevels(entry), address)) {
            // VT-d 7.1.3, reason 83h (SGN.4).
            return refused(entry, FaultReason.SM_ADDRESS_BEYOND);
        }
        int domainId = VtdScalableTables.domainId(entry);
        long page = iotlb.lookup(domainId, address);
        if (page == SetAssociativeCache.MISS || needsDirtyFlag(page, write)) {
            scratch.secondStage.start(entry, scratch.began);
            page = secondStage.find(scratch.secondStage, address, write);
            if (!Iotlb.isFault(page) || (capabilities.cachingMode && Iotlb.refusesAll(page))) {
                iotlb.fill(domainId, address, page, scratch.began);
            }
        }
        return conclude(entry, address, write, page);
    }

    /** Returns whether a write must first set a dirty flag, which is cached as not set. */
    private static boolean needsDirtyFlag(long page, boolean write) {
        return write && !Iotlb.isFault(page) && (page & (Iotlb.W | Iotlb.DIRTY)) == Iotlb.W;
    }

    private long byFirstStage(Scratch scratch, int pasid, long address, boolean write) {
        WideCache.Entry entry = scratch.pasid;
        if (!FirstStage.isCanonical(VtdScalableTables.firstStageLevels(entry), address)) {
            // VT-d 7.1.3, reason 80h (SGN.1).
            return refused(entry, FaultReason.NOT_CANONICAL);
        }
        boolean nested = VtdScalableTables.type(entry) == VtdScalableTables.NESTED;
        long tag = ScalableCaches.tag(VtdScalableTables.domainId(entry), pasid, nested);
        FirstStageWalk walk = scratch.firstStage;
        long page = caches.lookupPage(tag, address, walk.cached);
        if (page == SetAssociativeCache.MISS || needsDirtyFlag(page, write)) {
            walk.start(entry, tag, scratch.began);
            page = firstStage.find(walk, address, write);
            if (!Iotlb.isFault(page)) {
                caches.fillPage(tag, address, page, scratch.began);
            }
        }
        return conclude(entry, address, write, page);
    }

    private static long conclude(WideCache.Entry pasidEntry, long address, boolean write, long page) {
        if (Iotlb.isFault(page)) {
            // VT-d 7.1.3: the walk has found the condition.
            return refused(pasidEntry, FaultReason.inScalableMode(Iotlb.reason(page), Iotlb.refusesAll(page)));
        }
        if ((page & (write ? Iotlb.W : Iotlb.R)) == 0) {
            // VT-d 7.1.3, reasons 85h (SGN.6) and 86h (SGN.7).
            return refused(pasidEntry, write ? FaultReason.SM_WRITE : FaultReason.SM_READ);
        }
        long physical = Iotlb.physical(page, address);
        if (Translations.isInterrupt(physical)) {
            // VT-d 7.1.3, reason 87h (SGN.8).
            return refused(pasidEntry, FaultReason.SM_OUTPUT_INTERRUPT_RANGE);
        }
        return Translation.to(physical, (page & Iotlb.SNP) != 0);
    }

    private static long refused(WideCache.Entry entry, int reason) {
        boolean silent = VtdScalableTables.faultProcessingDisabled(entry) && FaultReason.isQualified(reason);
        return Translations.fault(reason, silent);
    }
}
