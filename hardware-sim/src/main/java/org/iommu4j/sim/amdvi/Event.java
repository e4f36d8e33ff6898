// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * The events that the unit logs: 128 bits each; the second word is an address.
 *
 * <p>Source: 48882, section 2.5, "Event Logging". Compared with FreeBSD's {@code amd_reg.h}, with VirtualBox's {@code
 * iommu-amd.h} and with Linux, which reads 20 bits of PASID in ILLEGAL_DEV_TABLE_ENTRY, IO_PAGE_FAULT,
 * PAGE_TAB_HARDWARE_ERROR and INVALID_DEVICE_REQUEST. Logs of machines confirm that the last has no RW: posted writes,
 * Type 5, with no other flag.
 */
final class Event {
    static final int BYTES = 16;

    /** Reserved bits or an impossible Mode in a device table entry. The address is the request's. */
    static final int ILLEGAL_DEV_TABLE_ENTRY = 1;
    /** No translation, or no permission. The address is the request's. */
    static final int IO_PAGE_FAULT = 2;
    /** The device table could not be read. The address is the entry's. */
    static final int DEV_TAB_HARDWARE_ERROR = 3;
    /** A page table could not be read. The address is the entry's. */
    static final int PAGE_TAB_HARDWARE_ERROR = 4;
    /** A command is unknown, unsupported or has reserved bits set. The address is the command's. */
    static final int ILLEGAL_COMMAND_ERROR = 5;
    /** A command could not be read or its data not stored. The address is the memory's. */
    static final int COMMAND_HARDWARE_ERROR = 6;

    /** A device did not answer the invalidation of its IOTLB in time. The address is the command's. */
    static final int IOTLB_INV_TIMEOUT = 7;
    /** A request of a kind that the device may not make. The address is the request's. */
    static final int INVALID_DEVICE_REQUEST = 8;

    /** A device that may not send page requests sent one. The address is the page's. */
    static final int INVALID_PPR_REQUEST = 9;

    /** Type of INVALID_DEVICE_REQUEST, with TR: I, V or TV of the entry is 0. */
    static final int TRANSLATION_REQUEST_REFUSED = 0;
    /** Type of INVALID_DEVICE_REQUEST, with TR: the address belongs to interrupts. */
    static final int TRANSLATION_REQUEST_OF_INTERRUPT = 1;
    /**
     * Type of INVALID_DEVICE_REQUEST, without TR, of a request that the device translated: I or V of the entry is 0.
     */
    static final int PRETRANSLATED_REFUSED = 1;

    private static final BitField DEVICE_ID = bits(15, 0, "DeviceID");
    private static final BitField PASID_HIGH = bits(19, 16, "PASID high");
    private static final BitField DOMAIN_OR_PASID = bits(47, 32, "DomainID/PASID");
    /** The address is a guest address with PASID. */
    static final BitField GN = bit(48, "GN");
    /** The page was present. */
    static final BitField PR = bit(52, "PR");
    /** The request writes. */
    static final BitField RW = bit(53, "RW");
    /** No permission. */
    static final BitField PE = bit(54, "PE");
    /** Reserved bits are not zero; otherwise the level is impossible. */
    static final BitField RZ = bit(55, "RZ");

    /** The request is a translation request. */
    static final BitField TR = bit(56, "TR");

    /** The kind of hardware error, in the lower two bits, or of invalid request. */
    private static final BitField TYPE = bits(59, 57, "Type");

    private static final BitField CODE = bits(63, 60, "EventCode");
    private static final int MASTER_ABORT = 1;

    static final Layout LAYOUT = Layout.of(
            "event",
            DEVICE_ID,
            PASID_HIGH,
            DOMAIN_OR_PASID,
            GN,
            bit(49, "NX"),
            bit(50, "US"),
            bit(51, "I"),
            PR,
            RW,
            PE,
            RZ,
            TR,
            TYPE,
            CODE);

    /** Names of events by code. */
    private static final String[] NAMES = {
        "no event",
        "ILLEGAL_DEV_TABLE_ENTRY",
        "IO_PAGE_FAULT",
        "DEV_TAB_HARDWARE_ERROR",
        "PAGE_TAB_HARDWARE_ERROR",
        "ILLEGAL_COMMAND_ERROR",
        "COMMAND_HARDWARE_ERROR",
        "IOTLB_INV_TIMEOUT",
        "INVALID_DEVICE_REQUEST",
        "INVALID_PPR_REQUEST"
    };

    private Event() {}

    /** Returns the manual's name of an event's code. */
    static String name(int code) {
        return code >= 0 && code < NAMES.length ? NAMES[code] : "event 0x" + Integer.toHexString(code);
    }

    /**
     * Makes the first word of an event that has a PASID with GN and no domain.
     *
     * @param pasid negative for none
     */
    static long deviceRequest(int code, int requesterId, int pasid, long flags) {
        return pasid < 0 ? request(code, requesterId, 0, flags) : guestRequest(code, requesterId, pasid, flags);
    }

    /** Makes the first word of an event about a request without PASID. */
    static long request(int code, int requesterId, int domainId, long flags) {
        return CODE.of(code) | DEVICE_ID.of(requesterId) | DOMAIN_OR_PASID.of(domainId) | flags;
    }

    /** Makes the first word of an event about a request to a PASID's addresses. */
    static long guestRequest(int code, int requesterId, int pasid, long flags) {
        return CODE.of(code)
                | DEVICE_ID.of(requesterId)
                | PASID_HIGH.of((pasid >>> 16) & 0xf)
                | DOMAIN_OR_PASID.of(pasid & 0xffff)
                | GN.mask()
                | flags;
    }

    /** Makes a hardware error of the first word of an event. */
    static long hardwareError(long word0) {
        return word0 | TYPE.of(MASTER_ABORT);
    }

    /** Makes the first word of an INVALID_DEVICE_REQUEST, which has no RW. */
    static long invalidDeviceRequest(int requesterId, int pasid, long request, int type) {
        return deviceRequest(INVALID_DEVICE_REQUEST, requesterId, pasid, request & TR.mask()) | TYPE.of(type);
    }

    /** Makes the first word of an IOTLB_INV_TIMEOUT. */
    static long iotlbTimeout(int requesterId) {
        return request(IOTLB_INV_TIMEOUT, requesterId, 0, 0);
    }

    /** Makes the first word of an event about a command. */
    static long illegalCommand() {
        return CODE.of(ILLEGAL_COMMAND_ERROR);
    }

    /** Makes the first word of an event about the memory of a command or of its data. */
    static long commandHardwareError() {
        return hardwareError(CODE.of(COMMAND_HARDWARE_ERROR));
    }

    /** Returns an event's code. */
    static int code(long word0) {
        return (int) CODE.get(word0);
    }
}
