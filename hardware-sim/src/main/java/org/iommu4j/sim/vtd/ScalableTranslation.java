// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * Translates requests in scalable mode: context, PASID, and then first stage, second stage, both or neither.
 *
 * <p>Source: VT-d 3.4.3, 3.6 (first stage), 3.7 (second stage), 3.8 (nested), 3.9 (accessed and dirty flags), 7.1.3 (faults).
 * All requests are users' and none executes. Stateless but for the caches; a thread's scratch words are its own.
 */
final class ScalableTranslation {
    /** An untranslated request, as the fault log's AT has it. */
    static final int UNTRANSLATED = 0;
    /** A translation request. */
    static final int TRANSLATION_REQUEST = 1;
    /** A translated request. */
    static final int TRANSLATED = 2;

    private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

    private static final long RIGHTS = FirstStage.RW | FirstStage.US;

    private final VtdCapabilities capabilities;
    private final int hostAddressWidth;
    private final Fabric fabric;
    private final Epoch epoch;
    private final ScalableCaches caches;
    private final Iotlb iotlb;
    private final VtdScalableTables tables;
    private final FirstStage firstStage;
    private final SecondStageWalker secondStage;

    /** What one translation keeps in hand. */
    private static final class Scratch {
        final WideCache.Entry context = new WideCache.Entry();
        final WideCache.Entry pasid = new WideCache.Entry();
        final WideCache.Entry found = new WideCache.Entry();
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
        this.fabric = fabric;
        this.epoch = epoch;
        this.caches = caches;
        this.iotlb = iotlb;
        this.secondStage = secondStage;
        tables = new VtdScalableTables(capabilities, hostAddressWidth, fabric);
        firstStage = new FirstStage(capabilities, hostAddressWidth);
    }

    /**
     * Translates a request.
     *
     * @param addressType {@link #UNTRANSLATED}, {@link #TRANSLATION_REQUEST} or {@link #TRANSLATED}
     * @return a {@link Translation}; a fault has {@link Translations#isSilent silence} when it isn't recorded
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
            return refused(context, VtdScalableTables.reason(context));
        }
        if (addressType != UNTRANSLATED && !VtdScalableTables.allowsDeviceTlb(context)) {
            return refused(context, FaultReason.SM_DEVICE_TLB_BLOCKED);
        }
        boolean withPasid = requestPasid != TranslationUnit.NO_PASID;
        if (withPasid && !VtdScalableTables.allowsPasids(context)) {
            return refused(context, FaultReason.SM_PASID_DISABLED);
        }
        int pasid = withPasid ? requestPasid : VtdScalableTables.ridPasid(context);
        if (pasid >>> VtdScalableTables.pasidBits(context) != 0) {
            return refused(context, withPasid ? FaultReason.SM_PASID_BEYOND : FaultReason.SM_RID_PASID);
        }
        if (addressType == TRANSLATED) {
            return Translations.isInterrupt(address)
                    ? refused(context, FaultReason.SM_OUTPUT_INTERRUPT_RANGE)
                    : Translations.unchanged(address);
        }
        WideCache.Entry entry = scratch.pasid;
        findPasid(scratch, requesterId, pasid);
        if (VtdScalableTables.isRefusal(entry)) {
            return refused(entry, VtdScalableTables.reason(entry));
        }
        return switch (VtdScalableTables.type(entry)) {
            case VtdScalableTables.PASS_THROUGH -> passThrough(entry, address);
            case VtdScalableTables.SECOND_STAGE -> bySecondStage(scratch, address, write);
            default -> byFirstStage(scratch, pasid, address, write);
        };
    }

    /**
     * Looks whether a device may ask for pages.
     *
     * @return a fault, as {@link #translate} returns it, or 0
     */
    long pageRequestProblem(long rootTable, int requesterId, int pasid) {
        Scratch scratch = SCRATCH.get();
        scratch.began = epoch.current();
        WideCache.Entry context = scratch.context;
        findContext(scratch, rootTable, requesterId);
        if (VtdScalableTables.isRefusal(context)) {
            return refused(context, VtdScalableTables.reason(context));
        }
        if (!VtdScalableTables.allowsPageRequests(context)) {
            return refused(context, FaultReason.SM_PAGE_REQUEST_BLOCKED);
        }
        if (pasid != TranslationUnit.NO_PASID && !VtdScalableTables.allowsPasids(context)) {
            return refused(context, FaultReason.SM_PASID_DISABLED);
        }
        return pasid != TranslationUnit.NO_PASID && pasid >>> VtdScalableTables.pasidBits(context) != 0
                ? refused(context, FaultReason.SM_PASID_BEYOND)
                : 0;
    }

    private long passThrough(WideCache.Entry entry, long address) {
        if (address >>> hostAddressWidth != 0) {
            return refused(entry, FaultReason.SM_ADDRESS_BEYOND);
        }
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
        if (isBeyondSecondStage(entry, address)) {
            return refused(entry, FaultReason.SM_ADDRESS_BEYOND);
        }
        int domainId = VtdScalableTables.domainId(entry);
        long page = iotlb.lookup(domainId, address);
        if (page == SetAssociativeCache.MISS || needsDirtyFlag(page, write)) {
            page = walkSecondStage(scratch, address, write);
            if (!Iotlb.isFault(page) || (capabilities.cachingMode && Iotlb.refusesAll(page))) {
                iotlb.fill(domainId, address, page, scratch.began);
            }
        }
        return conclude(entry, address, write, page);
    }

    /** Returns whether a write must set a dirty flag first, which the unit remembers as not set. */
    private static boolean needsDirtyFlag(long page, boolean write) {
        return write && !Iotlb.isFault(page) && (page & (Iotlb.W | Iotlb.DIRTY)) == Iotlb.W;
    }

    private boolean isBeyondSecondStage(WideCache.Entry entry, long address) {
        return address >>> Math.min(capabilities.addressWidth, 12 + 9 * VtdScalableTables.secondStageLevels(entry))
                != 0;
    }

    private long walkSecondStage(Scratch scratch, long address, boolean write) {
        WideCache.Entry entry = scratch.pasid;
        return secondStage.walk(
                VtdScalableTables.domainId(entry),
                VtdScalableTables.secondStageTable(entry),
                VtdScalableTables.secondStageLevels(entry),
                address,
                write,
                VtdScalableTables.snoopsWalks(entry),
                VtdScalableTables.setsSecondStageFlags(entry),
                scratch.began);
    }

    private long byFirstStage(Scratch scratch, int pasid, long address, boolean write) {
        WideCache.Entry entry = scratch.pasid;
        if (!FirstStage.isCanonical(VtdScalableTables.firstStageLevels(entry), address)) {
            return refused(entry, FaultReason.NOT_CANONICAL);
        }
        boolean nested = VtdScalableTables.type(entry) == VtdScalableTables.NESTED;
        long tag = ScalableCaches.tag(VtdScalableTables.domainId(entry), pasid, nested);
        long page = caches.lookupPage(tag, address, scratch.found);
        if (page == SetAssociativeCache.MISS || needsDirtyFlag(page, write)) {
            page = walkFirstStage(scratch, tag, nested, address, write);
            if (!Iotlb.isFault(page)) {
                caches.fillPage(tag, address, page, scratch.began);
            }
        }
        return conclude(entry, address, write, page);
    }

    private long walkFirstStage(Scratch scratch, long tag, boolean nested, long address, boolean write) {
        for (int level = 2; level <= 3; level++) {
            if (caches.lookupTable(tag, level, address, scratch.found)) {
                long table = FirstStage.table(scratch.found.first);
                long rights = scratch.found.first & RIGHTS;
                return descend(scratch, tag, nested, table, level - 1, false, rights, address, write);
            }
        }
        WideCache.Entry entry = scratch.pasid;
        int levels = VtdScalableTables.firstStageLevels(entry);
        return descend(
                scratch, tag, nested, VtdScalableTables.firstStageTable(entry), levels, true, RIGHTS, address, write);
    }

    private long descend(
            Scratch scratch,
            long tag,
            boolean nested,
            long firstTable,
            int first,
            boolean fromTop,
            long firstRights,
            long address,
            boolean write) {
        WideCache.Entry pasid = scratch.pasid;
        boolean snoop = VtdScalableTables.snoopsWalks(pasid);
        long used = VtdScalableTables.firstStageUse(pasid);
        long table = firstTable;
        long rights = firstRights;
        int level = first;
        while (true) {
            boolean top = fromTop && level == first;
            long at = table | (((address >>> SecondStage.shift(level)) & 511) << 3);
            long entryAddress = at;
            if (nested) {
                long page = guest(scratch, at, false);
                if (Iotlb.isFault(page)) {
                    return tableRefused(page, top ? FaultReason.FS_TOP_READ : FaultReason.FS_READ);
                }
                entryAddress = Iotlb.physical(page, at);
            }
            long entry = fabric.read(entryAddress, snoop);
            if (VtdLegacyTables.isAbort(fabric, entryAddress, entry)) {
                return Iotlb.ofFault(top ? FaultReason.FS_TOP_ACCESS : FaultReason.FS_ACCESS, true);
            }
            if ((entry & FirstStage.P) == 0) {
                return Iotlb.ofFault(FaultReason.FS_NOT_PRESENT, true);
            }
            if (firstStage.hasReserved(level, entry)) {
                return Iotlb.ofFault(FaultReason.FS_RESERVED, true);
            }
            boolean leaf = FirstStage.isLeaf(level, entry);
            long allowed = rights & entry;
            if ((allowed & FirstStage.US) == 0) {
                return Iotlb.ofFault(FaultReason.FS_SUPERVISOR, true);
            }
            if (write && (allowed & FirstStage.RW) == 0) {
                return Iotlb.ofFault(FaultReason.SM_WRITE, false);
            }
            long set = entry | used | (leaf && write ? FirstStage.D : 0);
            if (set != entry) {
                if (nested) {
                    long page = guest(scratch, at, true);
                    if (Iotlb.isFault(page)) {
                        return tableRefused(page, FaultReason.FS_WRITE);
                    }
                }
                if (!snoop) {
                    return Iotlb.ofFault(FaultReason.FS_FLAGS_NOT_SNOOPED, false);
                }
                if (!fabric.compareAndSet(entryAddress, entry, set, true)) {
                    continue; // somebody changed the entry since: read it again
                }
                entry = set;
            }
            if (leaf) {
                if (level < first) {
                    caches.fillTable(tag, level + 1, address, table | rights, scratch.began);
                }
                long flags = Iotlb.R
                        | ((allowed & FirstStage.RW) != 0 ? Iotlb.W : 0)
                        | ((entry & FirstStage.D) != 0 ? Iotlb.DIRTY : 0)
                        | (VtdScalableTables.snoopsData(pasid) ? Iotlb.SNP : 0);
                return nested
                        ? nestedPage(scratch, level, entry, flags, address, write)
                        : Iotlb.of(FirstStage.page(level, entry), level - 1, flags);
            }
            rights = allowed;
            table = FirstStage.table(entry);
            level--;
        }
    }

    /** Translates a guest-physical address of a first-stage entry. */
    private long guest(Scratch scratch, long address, boolean write) {
        return isBeyondSecondStage(scratch.pasid, address)
                ? Iotlb.ofFault(FaultReason.FS_TABLE_BEYOND, true)
                : walkSecondStage(scratch, address, write);
    }

    /** Returns the refusal of an access to a first-stage table that the second stage refused. */
    private static long tableRefused(long refusal, int withoutPermission) {
        int reason = Iotlb.reason(refusal);
        boolean permission = reason == FaultReason.READ || reason == FaultReason.WRITE;
        return Iotlb.ofFault(permission ? withoutPermission : FaultReason.inScalableMode(reason, true), true);
    }

    /** Returns the page that both stages map: the smaller of theirs, with the permissions of both. */
    private long nestedPage(Scratch scratch, int level, long entry, long flags, long address, boolean write) {
        long within = (1L << SecondStage.shift(level)) - 1;
        long guestAddress = FirstStage.page(level, entry) | (address & within);
        if (isBeyondSecondStage(scratch.pasid, guestAddress)) {
            return Iotlb.ofFault(FaultReason.SM_NESTED_BEYOND, true);
        }
        long page = walkSecondStage(scratch, guestAddress, write);
        if (Iotlb.isFault(page)) {
            return page;
        }
        int size = Math.min(level - 1, Iotlb.size(page));
        long base = Iotlb.physical(page, guestAddress) & (-1L << SecondStage.shift(size + 1));
        long both = flags & (page | Iotlb.SNP);
        return Iotlb.of(base, size, both);
    }

    private static long conclude(WideCache.Entry pasidEntry, long address, boolean write, long page) {
        if (Iotlb.isFault(page)) {
            return refused(pasidEntry, FaultReason.inScalableMode(Iotlb.reason(page), Iotlb.refusesAll(page)));
        }
        if ((page & (write ? Iotlb.W : Iotlb.R)) == 0) {
            return refused(pasidEntry, write ? FaultReason.SM_WRITE : FaultReason.SM_READ);
        }
        long physical = Iotlb.physical(page, address);
        if (Translations.isInterrupt(physical)) {
            return refused(pasidEntry, FaultReason.SM_OUTPUT_INTERRUPT_RANGE);
        }
        return Translation.to(physical, (page & Iotlb.SNP) != 0);
    }

    private static long refused(WideCache.Entry entry, int reason) {
        boolean silent = VtdScalableTables.faultProcessingDisabled(entry) && FaultReason.isQualified(reason);
        return Translations.fault(reason, silent);
    }
}
