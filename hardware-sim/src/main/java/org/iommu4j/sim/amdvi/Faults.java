// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * Refuses requests: logs the event that the manual demands, under the unit's lock, and makes the answer.
 *
 * <p>Source: 48882, section 2.5, "Event Logging". A translation request that merely finds no translation or no
 * permission is answered without rights and logs nothing.
 */
final class Faults {
    private final AmdViEventLog events;
    private final DeviceTableCache devices;
    private final Object lock;

    Faults(AmdViEventLog events, DeviceTableCache devices, Object lock) {
        this.events = events;
        this.devices = devices;
        this.lock = lock;
    }

    /**
     * Refuses a request for its device table entry: 48882, section 2.5.2, ILLEGAL_DEV_TABLE_ENTRY.
     *
     * @param flags RW, TR and RZ of the event
     */
    long illegalEntry(int requesterId, int pasid, long address, long flags) {
        synchronized (lock) {
            events.write(Event.deviceRequest(Event.ILLEGAL_DEV_TABLE_ENTRY, requesterId, pasid, flags), address & ~3L);
        }
        return Translation.fault(Event.ILLEGAL_DEV_TABLE_ENTRY);
    }

    /** Refuses a request whose device table entry is not in memory: section 2.5.4, DEV_TAB_HARDWARE_ERROR. */
    long unreadableEntry(int requesterId, long request, long entryAddress) {
        return hardwareError(Event.request(Event.DEV_TAB_HARDWARE_ERROR, requesterId, 0, request), entryAddress);
    }

    private long hardwareError(long word0, long entryAddress) {
        synchronized (lock) {
            events.writeHardwareError(Event.hardwareError(word0), entryAddress);
        }
        return Translation.fault(Event.code(word0));
    }

    /** Refuses a request of a kind that the device may not make: section 2.5.9, INVALID_DEVICE_REQUEST. */
    long invalidDeviceRequest(int requesterId, int pasid, long address, long request, int type) {
        synchronized (lock) {
            events.write(Event.invalidDeviceRequest(requesterId, pasid, request, type), address);
        }
        return Translation.fault(Event.INVALID_DEVICE_REQUEST);
    }

    /**
     * Refuses a request after a failed walk: a page fault, or section 2.5.5, PAGE_TAB_HARDWARE_ERROR.
     *
     * @param pasid the PASID of the guest tables, or {@link TranslationUnit#NO_PASID} for host tables alone
     * @param word1 the second word of the device table entry
     * @param request RW and TR of the event
     * @param failure a {@link WalkResult}
     */
    long walk(int requesterId, int pasid, long word1, long address, long request, long failure) {
        boolean ofHost = WalkResult.isOfHost(failure);
        int blamed = ofHost ? TranslationUnit.NO_PASID : pasid;
        if (WalkResult.isUnreadable(failure)) {
            return hardwareError(
                    word0(Event.PAGE_TAB_HARDWARE_ERROR, requesterId, blamed, word1, request),
                    WalkResult.address(failure));
        }
        long flags = WalkResult.flags(failure) | request;
        return page(requesterId, blamed, word1, ofHost ? WalkResult.address(failure) : address, flags);
    }

    /** Refuses a request with section 2.5.3, IO_PAGE_FAULT, which SE and SA of the device table entry may suppress. */
    long page(int requesterId, int pasid, long word1, long address, long flags) {
        if (Event.TR.isSet(flags) && !Event.RZ.isSet(flags)) {
            return TranslationUnit.NOT_TRANSLATED;
        }
        if (!AmdViDeviceTableEntry.SA.isSet(word1)) {
            synchronized (lock) {
                if (!AmdViDeviceTableEntry.SE.isSet(word1) || !devices.markFaultLogged(requesterId)) {
                    events.write(word0(Event.IO_PAGE_FAULT, requesterId, pasid, word1, flags), address);
                }
            }
        }
        return Translation.fault(Event.IO_PAGE_FAULT);
    }

    /** Makes the first word of an event that has a PASID with GN, and the domain without. */
    private static long word0(int code, int requesterId, int pasid, long word1, long flags) {
        return pasid == TranslationUnit.NO_PASID
                ? Event.request(code, requesterId, (int) AmdViDeviceTableEntry.DOMAIN_ID.get(word1), flags)
                : Event.guestRequest(code, requesterId, pasid, flags);
    }
}
