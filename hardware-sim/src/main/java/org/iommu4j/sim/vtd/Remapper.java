// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * The path of a request, according to the registers: translation on or off, the mode of the tables, protected regions.
 *
 * <p>Source: VT-d 3.4, 4.2 (requests of device TLBs) and 11.4.8. Threads that translate read one volatile word; a
 * thread that changes it holds the unit's lock.
 */
final class Remapper {
    /** Bits of {@link #root}: translation is on. */
    private static final long TRANSLATING = 1;

    /** Bits of {@link #root}: regions of memory are protected. */
    private static final long PROTECTING = 2;

    private static final long TTM = VtdRegisters.TTM.mask();
    private static final long RTA = VtdRegisters.RTA.mask();

    /** TTM. */
    private static final long LEGACY_MODE = 0;

    private static final long SCALABLE_MODE = 1;

    private final VtdCapabilities capabilities;
    private final LegacyTranslation legacy;
    private final ScalableTranslation scalable;
    private final VtdFaultLog faults;

    /** RTADDR as SRTP found it, with {@link #TRANSLATING} and {@link #PROTECTING}. */
    private volatile long root;

    /** Set before {@link #PROTECTING}. */
    private ProtectedMemory protectedMemory = ProtectedMemory.NONE;

    Remapper(VtdCapabilities capabilities, LegacyTranslation legacy, ScalableTranslation scalable, VtdFaultLog faults) {
        this.capabilities = capabilities;
        this.legacy = legacy;
        this.scalable = scalable;
        this.faults = faults;
    }

    void setRoot(long rtaddr) {
        root = (rtaddr & (RTA | TTM)) | (root & (TRANSLATING | PROTECTING));
    }

    void setTranslating(boolean on) {
        root = on ? root | TRANSLATING : root & ~TRANSLATING;
    }

    void setProtectedMemory(ProtectedMemory regions) {
        protectedMemory = regions;
        root = regions.equals(ProtectedMemory.NONE) ? root & ~PROTECTING : root | PROTECTING;
    }

    /** Returns whether the tables have scalable mode's format. */
    boolean isScalable() {
        return VtdRegisters.TTM.get(root) == SCALABLE_MODE;
    }

    /** Returns whether the tables have legacy mode's format. */
    boolean isLegacy() {
        return VtdRegisters.TTM.get(root) == LEGACY_MODE;
    }

    /** See {@link TranslationUnit#translate}. */
    long translate(int requesterId, int pasid, long address, boolean write) {
        long root = this.root;
        long answer;
        if ((root & (TRANSLATING | PROTECTING | TTM)) == TRANSLATING
                && pasid == TranslationUnit.NO_PASID
                && !Translations.isInterrupt(address)) {
            answer = legacy.translate(root & RTA, requesterId, address, write);
        } else {
            answer = protect(root, translateSpecially(root, requesterId, pasid, address, write));
        }
        return answer >= 0
                ? answer
                : refuse(answer, requesterId, pasid, address, write, ScalableTranslation.UNTRANSLATED);
    }

    private long translateSpecially(long root, int requesterId, int pasid, long address, boolean write) {
        if ((root & TRANSLATING) == 0) {
            return Translations.unchanged(address);
        }
        // An interrupt address is no page, but a request with PASID is never an interrupt.
        if (pasid == TranslationUnit.NO_PASID && Translations.isInterrupt(address)) {
            return Translation.to(address, false);
        }
        int problem = problemOfMode(root, pasid);
        if (problem != 0) {
            return Translation.fault(problem);
        }
        return (root & TTM) == LEGACY_MODE
                ? legacy.translate(root & RTA, requesterId, address, write)
                : scalable.translate(root & RTA, requesterId, pasid, address, write, ScalableTranslation.UNTRANSLATED);
    }

    /** Blocks a request into a protected region, without a record (VT-d 11.4.8, which has no reason for it). */
    private long protect(long root, long answer) {
        return (root & PROTECTING) != 0
                        && !Translation.isFault(answer)
                        && protectedMemory.covers(Translation.address(answer))
                ? Translations.fault(FaultReason.PROTECTED_MEMORY, true)
                : answer;
    }

    /** Returns why the mode that RTADDR selects accepts no request of a kind, or 0. */
    private int problemOfMode(long root, int pasid) {
        long mode = VtdRegisters.TTM.get(root);
        if (mode == LEGACY_MODE) {
            // VT-d 7.1.3, reason 31h.
            return pasid == TranslationUnit.NO_PASID ? 0 : FaultReason.PASID_IN_LEGACY_MODE;
        }
        // VT-d 7.1.3, reason 30h.
        return mode == SCALABLE_MODE && capabilities.scalable ? 0 : FaultReason.ROOT_TABLE_MODE;
    }

    /** See {@link TranslationUnit#requestTranslation}. */
    long requestTranslation(int requesterId, int pasid, long address, boolean write) {
        long answer = forDeviceTlb(root, requesterId, pasid, address, write, ScalableTranslation.TRANSLATION_REQUEST);
        if (answer >= 0) {
            return answer;
        }
        return FaultReason.isAnsweredWithoutRights(Translations.reason(answer))
                ? TranslationUnit.NOT_TRANSLATED
                : refuse(answer, requesterId, pasid, address, write, ScalableTranslation.TRANSLATION_REQUEST);
    }

    /** See {@link TranslationUnit#passTranslated}. */
    long passTranslated(int requesterId, int pasid, long address, boolean write) {
        long root = this.root;
        long answer =
                protect(root, forDeviceTlb(root, requesterId, pasid, address, write, ScalableTranslation.TRANSLATED));
        return answer >= 0
                ? answer
                : refuse(answer, requesterId, pasid, address, write, ScalableTranslation.TRANSLATED);
    }

    private long forDeviceTlb(long root, int requesterId, int pasid, long address, boolean write, int addressType) {
        if ((root & TRANSLATING) == 0) {
            // Without remapping no unit answers a translation request (VT-d 4.2); a translated one is like any other.
            return addressType == ScalableTranslation.TRANSLATED
                    ? Translations.unchanged(address)
                    : Translations.fault(FaultReason.DEVICE_TLB_BLOCKED, true);
        }
        int problem = problemOfMode(root, pasid);
        if (problem != 0) {
            return Translation.fault(problem);
        }
        return (root & TTM) == LEGACY_MODE
                ? legacy.forDeviceTlb(
                        root & RTA, requesterId, address, write, addressType == ScalableTranslation.TRANSLATED)
                : scalable.translate(root & RTA, requesterId, pasid, address, write, addressType);
    }

    /** Returns whether a device may send a page request, and records the fault when it may not. */
    boolean allowsPageRequest(int requesterId, int pasid, long address, boolean write) {
        long root = this.root;
        if ((root & TRANSLATING) == 0) {
            return false; // without a fault: there are no page requests without translation
        }
        // VT-d 7.1.3, reason 32h.
        int problem =
                (root & TTM) == LEGACY_MODE ? FaultReason.PAGE_REQUEST_IN_LEGACY_MODE : problemOfMode(root, pasid);
        long fault =
                problem != 0 ? Translation.fault(problem) : scalable.pageRequestProblem(root & RTA, requesterId, pasid);
        if (fault < 0) {
            refuse(fault, requesterId, pasid, address, write, VtdFaultLog.PAGE_REQUEST);
        }
        return fault >= 0;
    }

    private long refuse(long fault, int requesterId, int pasid, long address, boolean write, int addressType) {
        int reason = Translations.reason(fault);
        if (!Translations.isSilent(fault)) {
            faults.record(requesterId, pasid, address, write, addressType, reason);
        }
        return Translation.fault(reason);
    }

    void reset() {
        root = 0;
        protectedMemory = ProtectedMemory.NONE;
    }

    void addTo(StateDigest digest) {
        digest.add(root);
        protectedMemory.addTo(digest);
    }
}
