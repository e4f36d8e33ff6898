// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * Answers requests; takes a lock only to log a fault.
 *
 * <p>Source: 48882, section 2.2, "Data Structures": the device table entry decides whether a request is translated by
 * host tables, by a PASID's guest tables, by both or not at all. The flags of its possible event describe a request.
 */
final class Translator {
    /** Bits of modes: the unit is on; guest translation is on, with GCR3 tables of guests. */
    static final int TRANSLATING = 1;

    static final int GUESTS = 2;
    static final int GCR3_OF_GUESTS = 4;

    /** Bit of a request: the device translated its address. Not a flag of an event. */
    static final long PRETRANSLATED = 1;

    private static final long OF_DEVICE_IOTLB = PRETRANSLATED | Event.TR.mask();

    private static final int PHYSICAL_BITS = 52;
    /** Bits 63:20 of every address of interrupts. Source: 48882, section 2.1. */
    private static final long INTERRUPT_RANGE = 0xfee;

    private static final long GUEST_WITHOUT_PASID = AmdViDeviceTableEntry.GV.mask() | AmdViDeviceTableEntry.GIOV.mask();

    private static final int DEV_TAB_PLACE = RegisterFile.place(AmdViRegisters.DEV_TAB_BAR);
    private static final int EXCLUSION_BASE_PLACE = RegisterFile.place(AmdViRegisters.EXCLUSION_BASE);
    private static final int EXCLUSION_LIMIT_PLACE = RegisterFile.place(AmdViRegisters.EXCLUSION_LIMIT);

    private final RegisterFile registers;
    private final Fabric fabric;
    private final AmdViFeatures features;
    private final Epoch epoch;
    private final DeviceTableCache devices;
    private final TableWalker walker;
    private final GuestWalker guestWalker;
    private final Faults faults;

    Translator(RegisterFile registers, Fabric fabric, AmdViFeatures features, Caches caches, Faults faults) {
        this.registers = registers;
        this.fabric = fabric;
        this.features = features;
        this.epoch = caches.epoch;
        this.devices = caches.devices;
        this.walker = new TableWalker(fabric, caches, features);
        this.guestWalker = new GuestWalker(fabric, walker, caches, features);
        this.faults = faults;
    }

    /**
     * Answers a request.
     *
     * @param request RW and TR of its event, or {@link #PRETRANSLATED}
     * @param modes the bits above, from the registers
     * @return a {@link Translation}
     */
    long translate(int requesterId, int pasid, long address, long request, int modes) {
        if ((modes & TRANSLATING) == 0) {
            // 48882, section 2.5.9 has the code; a unit that is off logs no event.
            return Event.TR.isSet(request)
                    ? Translation.fault(Event.INVALID_DEVICE_REQUEST)
                    : untranslated(address, false);
        }
        if (address >>> 20 == INTERRUPT_RANGE && pasid == TranslationUnit.NO_PASID) {
            // 48882, section 2.5.9.
            return Event.TR.isSet(request)
                    ? faults.invalidDeviceRequest(
                            requesterId, pasid, address, request, Event.TRANSLATION_REQUEST_OF_INTERRUPT)
                    : untranslated(address, false);
        }
        // Before the entry is looked up: nothing that an invalidation overtakes from here on is cached.
        long since = epoch.current();
        int slot = devices.slot(requesterId);
        long sequence = devices.sequence(slot);
        long word0 = devices.word0(slot);
        long word1 = devices.word1(slot);
        if (!devices.holds(slot, requesterId, sequence)) {
            return translateReadingEntry(requesterId, pasid, address, request, modes, since);
        }
        return translate(requesterId, pasid, address, request, word0, word1, since);
    }

    private long translateReadingEntry(int requesterId, int pasid, long address, long request, int modes, long since) {
        long bar = registers.get(DEV_TAB_PLACE);
        long offset = (long) requesterId * AmdViDeviceTableEntry.BYTES;
        if (offset >= (AmdViRegisters.DEV_TAB_SIZE.get(bar) + 1) << 12) {
            // 48882, sections 2.2.2 and 2.5.3: the table ends before the requester's entry.
            return faults.page(requesterId, pasid, 0, address, eventFlags(request));
        }
        long at = AmdViRegisters.DEV_TAB_BASE.getInPlace(bar) + offset;
        long word0;
        long word1;
        long word2;
        long word3;
        do {
            word0 = fabric.read(at, true);
            word1 = fabric.read(at + 8, true);
            word2 = fabric.read(at + 16, true);
            word3 = fabric.read(at + 24, true);
        } while (hasChanged(at, word0, word1, word2, word3));
        if (word0 == -1L && fabric.isUnreadable(at, true)) {
            // 48882, section 2.5.4.
            return faults.unreadableEntry(requesterId, eventFlags(request), at);
        }
        if (AmdViDeviceTableEntry.V.isSet(word0)) {
            boolean reserved = AmdViDeviceTableEntry.hasReservedBits(word0, word1, word2, word3, features);
            if (reserved
                    || AmdViDeviceTableEntry.isImpossible(word0, word2, features)
                    || (AmdViDeviceTableEntry.GV.isSet(word0) && (modes & GUESTS) == 0)) {
                // 48882, sections 2.2.2 and 2.5.2.
                return faults.illegalEntry(
                        requesterId, pasid, address, eventFlags(request) | (reserved ? Event.RZ.mask() : 0));
            }
            word0 = DeviceTableCache.kept(word0, word2, word3, (modes & GCR3_OF_GUESTS) != 0);
        }
        devices.put(requesterId, word0, word1, since);
        return translate(requesterId, pasid, address, request, word0, word1, since);
    }

    /**
     * Returns whether an entry has changed since it was read word by word.
     *
     * <p>The unit reads an entry in one transaction. Here it reads until two readings agree; each repeat means that
     * software has stored a word. If software changes an entry and changes it back, it has invalidated in between, and
     * nothing is cached.
     */
    private boolean hasChanged(long at, long word0, long word1, long word2, long word3) {
        return fabric.read(at, true) != word0
                || fabric.read(at + 8, true) != word1
                || fabric.read(at + 16, true) != word2
                || fabric.read(at + 24, true) != word3;
    }

    private long translate(int requesterId, int pasid, long address, long request, long word0, long word1, long since) {
        if ((request & OF_DEVICE_IOTLB) != 0 && !mayUseIotlb(word0, word1, request)) {
            // 48882, section 2.5.9.
            return refuseIotlb(requesterId, pasid, address, request);
        }
        if (!AmdViDeviceTableEntry.V.isSet(word0) || (request & PRETRANSLATED) != 0) {
            return untranslated(address, false);
        }
        if (pasid != TranslationUnit.NO_PASID || (word0 & GUEST_WITHOUT_PASID) == GUEST_WITHOUT_PASID) {
            return translateGuest(requesterId, Math.max(pasid, 0), address, request, word0, word1, since);
        }
        if (!AmdViDeviceTableEntry.TV.isSet(word0)) {
            // 48882, sections 2.2.2 and 2.5.3, without PR.
            return faults.page(requesterId, pasid, word1, address, request);
        }
        if (isExcluded(address, word1)) {
            return untranslated(address, false);
        }
        boolean write = Event.RW.isSet(request);
        if ((word0 & (write ? AmdViDeviceTableEntry.IW.mask() : AmdViDeviceTableEntry.IR.mask())) == 0) {
            // 48882, sections 2.2.2 and 2.5.3, PE: IR and IW of the device table entry.
            return faults.page(requesterId, pasid, word1, address, request | WalkResult.REFUSED);
        }
        if (AmdViDeviceTableEntry.MODE.get(word0) == 0) {
            return untranslated(address, DeviceTableCache.identityForcesSnoop(word0));
        }
        long page = walker.find(word0, (int) AmdViDeviceTableEntry.DOMAIN_ID.get(word1), address, write, since);
        // 48882, sections 2.5.3 and 2.5.5: the walk has found the condition.
        return WalkResult.isFailure(page)
                ? faults.walk(requesterId, pasid, word1, address, request, page)
                : Translation.to(WalkCache.physical(page, address), PageTableEntry.FC.isSet(page));
    }

    private long translateGuest(
            int requesterId, int pasid, long address, long request, long word0, long word1, long since) {
        if (!AmdViDeviceTableEntry.TV.isSet(word0)
                || !AmdViDeviceTableEntry.GV.isSet(word0)
                || pasid >>> features.pasidBits != 0) {
            // 48882, sections 2.2.6 and 2.5.3, without PR.
            return faults.page(requesterId, pasid, word1, address, request);
        }
        boolean write = Event.RW.isSet(request);
        if ((word0 & (write ? AmdViDeviceTableEntry.IW.mask() : AmdViDeviceTableEntry.IR.mask())) == 0) {
            // 48882, sections 2.2.2 and 2.5.3, PE: IR and IW of the device table entry.
            return faults.page(requesterId, pasid, word1, address, request | WalkResult.REFUSED);
        }
        long page = guestWalker.find(word0, word1, pasid, address, write, since);
        // 48882, sections 2.5.3 and 2.5.5: the walk has found the condition.
        return WalkResult.isFailure(page)
                ? faults.walk(requesterId, pasid, word1, address, request, page)
                : Translation.to(WalkCache.physical(page, address), PageTableEntry.FC.isSet(page));
    }

    /**
     * Returns whether a device may request translations, for which tables must also be valid, or use those that it has.
     */
    private boolean mayUseIotlb(long word0, long word1, long request) {
        return features.deviceIotlbs
                && AmdViDeviceTableEntry.V.isSet(word0)
                && AmdViDeviceTableEntry.I.isSet(word1)
                && (AmdViDeviceTableEntry.TV.isSet(word0) || !Event.TR.isSet(request));
    }

    private long refuseIotlb(int requesterId, int pasid, long address, long request) {
        int type = Event.TR.isSet(request) ? Event.TRANSLATION_REQUEST_REFUSED : Event.PRETRANSLATED_REFUSED;
        return faults.invalidDeviceRequest(requesterId, pasid, address, request, type);
    }

    private static long eventFlags(long request) {
        return request & ~PRETRANSLATED;
    }

    /** Passes an address unchanged; by our reading, an impossible one is refused without an event. */
    private static long untranslated(long address, boolean forcesSnoop) {
        return address >>> PHYSICAL_BITS == 0
                ? Translation.to(address, forcesSnoop)
                : Translation.fault(Event.IO_PAGE_FAULT);
    }

    private boolean isExcluded(long address, long word1) {
        long base = registers.get(EXCLUSION_BASE_PLACE);
        return AmdViRegisters.EXCL_EN.isSet(base)
                && (AmdViRegisters.EXCL_ALLOW.isSet(base) || AmdViDeviceTableEntry.EX.isSet(word1))
                && Long.compareUnsigned(address, AmdViRegisters.EXCL_BASE.getInPlace(base)) >= 0
                && Long.compareUnsigned(address, registers.get(EXCLUSION_LIMIT_PLACE) | 0xfff) <= 0;
    }
}
