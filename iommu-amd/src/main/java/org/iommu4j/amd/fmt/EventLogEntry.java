// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.fmt;

import static org.iommu4j.bits.BitField.absolute;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;
import org.iommu4j.platform.PciAddress;

/** A 128-bit entry of the event log, 48882 section 2.5, as two words. */
public final class EventLogEntry {
    /** The requester. */
    public static final BitField DEVICE_ID = absolute(15, 0, "DeviceID");
    /** The high bits of the PASID, with {@link #GN}. */
    public static final BitField PASID_HIGH = absolute(19, 16, "PASID[19:16]");
    /** The domain, or the low bits of the PASID with {@link #GN}. */
    public static final BitField DOMAIN_ID = absolute(47, 32, "DomainID");
    /** A guest address with PASID. */
    public static final BitField GN = absolute(48, 48, "GN");
    /** Execute requested. */
    public static final BitField NX = absolute(49, 49, "NX");
    /** User privilege. */
    public static final BitField US = absolute(50, 50, "US");
    /** An interrupt request. */
    public static final BitField I = absolute(51, 51, "I");
    /** The translation was present: a permission was missing. */
    public static final BitField PR = absolute(52, 52, "PR");
    /** A write, not a read. */
    public static final BitField RW = absolute(53, 53, "RW");
    /** Permission error. */
    public static final BitField PE = absolute(54, 54, "PE");
    /** A reserved bit was set. */
    public static final BitField RZ = absolute(55, 55, "RZ");
    /** A translation request (ATS). */
    public static final BitField TR = absolute(56, 56, "TR");
    /** What happened. */
    public static final BitField EVENT_CODE = absolute(63, 60, "EventCode");
    /** Where: the device's address, or the physical address of a command or table. */
    public static final BitField ADDRESS = absolute(127, 64, "Address");

    /** The entry. */
    public static final Layout LAYOUT = Layout.of(
            "event (48882 2.5)",
            2,
            DEVICE_ID,
            PASID_HIGH,
            DOMAIN_ID,
            GN,
            NX,
            US,
            I,
            PR,
            RW,
            PE,
            RZ,
            TR,
            EVENT_CODE,
            ADDRESS);

    /** Bytes of an entry. */
    public static final int BYTES = 16;

    /** What events are called, by their code. */
    public enum Code {
        /** Not an event: the entry was not written yet. */
        RESERVED,
        /** A reserved bit or value in a device table entry. */
        ILLEGAL_DEV_TABLE_ENTRY,
        /** No translation or no permission. */
        IO_PAGE_FAULT,
        /** Memory failed under a device table access. */
        DEV_TAB_HARDWARE_ERROR,
        /** Memory failed under a page table access. */
        PAGE_TAB_HARDWARE_ERROR,
        /** A command that the unit can't do. It stops fetching. */
        ILLEGAL_COMMAND_ERROR,
        /** Memory failed under a command fetch. */
        COMMAND_HARDWARE_ERROR,
        /** A device did not confirm an invalidation. */
        IOTLB_INV_TIMEOUT,
        /** A request of a kind that the device may not make. */
        INVALID_DEVICE_REQUEST,
        /** A page request that makes no sense. */
        INVALID_PPR_REQUEST,
        /** A counter reached zero. */
        EVENT_COUNTER_ZERO,
        /** A fault on a guest's behalf. */
        GUEST_EVENT_FAULT,
        /** Not named by the manual. */
        UNKNOWN;

        private static final Code[] BY_CODE = values();

        /** Returns the name of an event code; the constants stand in the order of the codes. */
        public static Code of(int code) {
            return code < BY_CODE.length - 1 ? BY_CODE[code] : UNKNOWN;
        }
    }

    private EventLogEntry() {}

    /** Returns what happened. */
    public static Code code(long word0) {
        return Code.of((int) EVENT_CODE.get(word0));
    }

    /** Returns whether an event is about a device's request at an address, not about a command or a counter. */
    public static boolean isRefusedRequest(long word0) {
        return switch (code(word0)) {
            case ILLEGAL_DEV_TABLE_ENTRY,
                    IO_PAGE_FAULT,
                    DEV_TAB_HARDWARE_ERROR,
                    PAGE_TAB_HARDWARE_ERROR,
                    INVALID_DEVICE_REQUEST,
                    INVALID_PPR_REQUEST -> true;
            case RESERVED,
                    ILLEGAL_COMMAND_ERROR,
                    COMMAND_HARDWARE_ERROR,
                    IOTLB_INV_TIMEOUT,
                    EVENT_COUNTER_ZERO,
                    GUEST_EVENT_FAULT,
                    UNKNOWN -> false;
        };
    }

    /** Returns the PASID of a refused request, or -1; a page request's is not where the others' are. */
    public static int pasid(long word0) {
        if (code(word0) == Code.INVALID_PPR_REQUEST) {
            return PprLogEntry.GN.isSet(word0) ? (int) PprLogEntry.PASID.get(word0) : -1;
        }
        return GN.isSet(word0) ? (int) (PASID_HIGH.get(word0) << 16 | DOMAIN_ID.get(word0)) : -1;
    }

    /**
     * Says an event in one line, for example {@code IO_PAGE_FAULT device 0000:01:00.0 domain 0x0002 address 0x1000 write
     * flags PR|RW}.
     */
    public static String text(int segment, long word0, long word1) {
        Code code = code(word0);
        return switch (code) {
            case ILLEGAL_COMMAND_ERROR, COMMAND_HARDWARE_ERROR -> code + String.format(" command at 0x%x", word1);
            case UNKNOWN, RESERVED, EVENT_COUNTER_ZERO -> code + " " + LAYOUT.decode(word0, word1);
            case INVALID_PPR_REQUEST -> pageRequest(segment, word0, word1);
            default -> deviceEvent(code, segment, word0, word1);
        };
    }

    private static String pageRequest(int segment, long word0, long word1) {
        return Code.INVALID_PPR_REQUEST
                + " device " + PciAddress.of(segment, (int) DEVICE_ID.get(word0))
                + (PprLogEntry.GN.isSet(word0) ? String.format(" pasid 0x%05x", pasid(word0)) : "")
                + String.format(" address 0x%x", word1)
                + (PprLogEntry.WRITE.isSet(word0) ? " write" : " read")
                + String.format(" tag 0x%03x", PprLogEntry.TAG.get(word0));
    }

    private static String deviceEvent(Code code, int segment, long word0, long word1) {
        StringBuilder text = new StringBuilder(code.name()).append(" device ").append(PciAddress.of(segment, (int)
                DEVICE_ID.get(word0)));
        if (GN.isSet(word0)) {
            text.append(String.format(" pasid 0x%05x", pasid(word0)));
        } else {
            text.append(String.format(" domain 0x%04x", DOMAIN_ID.get(word0)));
        }
        text.append(String.format(" address 0x%x", word1)).append(RW.isSet(word0) ? " write" : " read");
        BitField[] flags = {GN, NX, US, I, PR, RW, PE, RZ, TR};
        String separator = " flags ";
        for (BitField flag : flags) {
            if (flag.isSet(word0)) {
                text.append(separator).append(flag.name());
                separator = "|";
            }
        }
        return text.toString();
    }
}
