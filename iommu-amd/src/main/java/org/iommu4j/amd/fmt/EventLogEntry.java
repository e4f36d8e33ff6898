// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.fmt;

import static org.iommu4j.bits.BitField.absolute;

import java.util.Arrays;
import org.iommu4j.bits.BitField;
import org.iommu4j.pci.PciAddress;

/**
 * A 128-bit entry of the event log, 48882 section 2.5, as two words.
 *
 * <p>The fields depend on the event. They were compared with FreeBSD's {@code amd_reg.h}, VirtualBox's
 * {@code iommu-amd.h} and Linux's {@code iommu_print_event}; the reasons of INVALID_DEVICE_REQUEST with illumos'
 * {@code amd_iommu_log.c}, which follows an early revision.
 */
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
    /** Kind of a hardware error; bit 59 is reserved there. */
    public static final BitField ERROR_TYPE = absolute(58, 57, "Type");
    /** Kind of an invalid request. */
    public static final BitField REQUEST_TYPE = absolute(59, 57, "Type");
    /** The event's code. */
    public static final BitField EVENT_CODE = absolute(63, 60, "EventCode");
    /** The device's address, or the physical address of a command or table. */
    public static final BitField ADDRESS = absolute(127, 64, "Address");

    /** Bytes of an entry. */
    public static final int BYTES = 16;

    /** The names of events, by their code. */
    public enum Code {
        /** Not an event: the entry is not written yet. */
        RESERVED(0),
        /** A reserved bit or value in a device table entry. */
        ILLEGAL_DEV_TABLE_ENTRY(1),
        /** No translation or no permission. */
        IO_PAGE_FAULT(2),
        /** Memory failed under a device table access. */
        DEV_TAB_HARDWARE_ERROR(3),
        /** Memory failed under a page table access. */
        PAGE_TAB_HARDWARE_ERROR(4),
        /** A command that the unit can't execute. It stops fetching. */
        ILLEGAL_COMMAND_ERROR(5),
        /** Memory failed under a command fetch. */
        COMMAND_HARDWARE_ERROR(6),
        /** A device did not confirm an invalidation. */
        IOTLB_INV_TIMEOUT(7),
        /** A request of a kind that the device may not make. */
        INVALID_DEVICE_REQUEST(8),
        /** An invalid page request. */
        INVALID_PPR_REQUEST(9),
        /** A counter reached zero. */
        EVENT_COUNTER_ZERO(0xa),
        /** A fault on a guest's behalf. */
        GUEST_EVENT_FAULT(0xb),
        /** With SNP, the reverse map table does not let a request reach a page. */
        RMP_PAGE_FAULT(0xd),
        /** With SNP, memory failed under an access to the reverse map table. */
        RMP_HW_ERROR(0xe),
        /** A code without a name here. */
        UNKNOWN(-1);

        private static final Code[] BY_NUMBER = new Code[16];

        static {
            Arrays.fill(BY_NUMBER, UNKNOWN);
            for (Code code : values()) {
                if (code != UNKNOWN) {
                    BY_NUMBER[code.number] = code;
                }
            }
        }

        private final int number;

        Code(int number) {
            this.number = number;
        }

        /**
         * Returns the name of an event.
         *
         * @param number 0 to 15, as in {@link EventLogEntry#EVENT_CODE}
         */
        public static Code of(int number) {
            return BY_NUMBER[number];
        }
    }

    private static final BitField[] ENTRY_FLAGS = {GN, I, RW, RZ, TR};
    private static final BitField[] FAULT_FLAGS = {GN, NX, US, I, PR, RW, PE, RZ, TR};
    private static final BitField[] ERROR_FLAGS = {GN, I, RW, TR};

    private static final int POSTED_WRITE_OF_MANAGEMENT = 3;
    private static final int POSTED_WRITE_OF_INTERRUPTS = 5;
    private static final int POSTED_WRITE_TO_RESERVED = 6;

    /** The reasons for invalid requests, by type, with TR 0. */
    private static final String[] INVALID_REQUESTS = {
        "read or non-posted write of interrupts",
        "translated by the device, but I or V is 0",
        "port I/O, but IoCtl is 0",
        "posted write of system management that SysMgt forbids, or of a reserved range",
        "read or non-posted write of system management that SysMgt forbids, or of a reserved range",
        "posted write of interrupts, but IntCtl is 0",
        "posted write of interrupts, to a reserved address",
        "port I/O or system management to be translated, but TV is 0"
    };

    private EventLogEntry() {}

    /** Returns the event. */
    public static Code code(long word0) {
        return Code.of((int) EVENT_CODE.get(word0));
    }

    /**
     * Returns whether an event holds the address of a device's request. A hardware error refuses a request too, but
     * holds the address where memory failed.
     */
    public static boolean isRefusedRequest(long word0) {
        return switch (code(word0)) {
            case ILLEGAL_DEV_TABLE_ENTRY, IO_PAGE_FAULT, INVALID_DEVICE_REQUEST, INVALID_PPR_REQUEST -> true;
            case RESERVED,
                    DEV_TAB_HARDWARE_ERROR,
                    PAGE_TAB_HARDWARE_ERROR,
                    ILLEGAL_COMMAND_ERROR,
                    COMMAND_HARDWARE_ERROR,
                    IOTLB_INV_TIMEOUT,
                    EVENT_COUNTER_ZERO,
                    GUEST_EVENT_FAULT,
                    RMP_PAGE_FAULT,
                    RMP_HW_ERROR,
                    UNKNOWN -> false;
        };
    }

    /** Returns whether an event explains why commands are not executed, or not confirmed by a device. */
    public static boolean isAboutCommands(long word0) {
        return switch (code(word0)) {
            case ILLEGAL_COMMAND_ERROR, COMMAND_HARDWARE_ERROR, IOTLB_INV_TIMEOUT -> true;
            default -> false;
        };
    }

    /** Returns the PASID of a refused request, or -1; a page request has it in another place. */
    public static int pasid(long word0) {
        if (code(word0) == Code.INVALID_PPR_REQUEST) {
            return PprLogEntry.GN.isSet(word0) ? (int) PprLogEntry.PASID.get(word0) : -1;
        }
        return GN.isSet(word0) ? (int) (PASID_HIGH.get(word0) << 16 | DOMAIN_ID.get(word0)) : -1;
    }

    /**
     * Returns whether a refused request is known to be a write: an invalid one has no RW, but its type may show it.
     */
    public static boolean wrote(long word0) {
        if (code(word0) != Code.INVALID_DEVICE_REQUEST) {
            return RW.isSet(word0);
        }
        int type = (int) REQUEST_TYPE.get(word0);
        return !TR.isSet(word0)
                && (type == POSTED_WRITE_OF_MANAGEMENT
                        || type == POSTED_WRITE_OF_INTERRUPTS
                        || type == POSTED_WRITE_TO_RESERVED);
    }

    /**
     * Formats an event in one line, for example {@code IO_PAGE_FAULT device 0000:01:00.0 domain 0x0002 address 0x1000
     * write flags PR|RW}.
     */
    public static String text(int segment, long word0, long word1) {
        Code code = code(word0);
        String device = " device " + PciAddress.of(segment, (int) DEVICE_ID.get(word0));
        String pasid = pasid(word0) < 0 ? "" : String.format(" pasid 0x%05x", pasid(word0));
        String domain = GN.isSet(word0) ? pasid : String.format(" domain 0x%04x", DOMAIN_ID.get(word0));
        String direction = wrote(word0) ? " write" : " read";
        String where = String.format(" 0x%x", word1);
        return code
                + switch (code) {
                    case ILLEGAL_DEV_TABLE_ENTRY ->
                        device + pasid + " address" + where + direction + flags(word0, ENTRY_FLAGS);
                    case IO_PAGE_FAULT -> device + domain + " address" + where + direction + flags(word0, FAULT_FLAGS);
                    case DEV_TAB_HARDWARE_ERROR ->
                        device + " entry at" + where + direction + flags(word0, ERROR_FLAGS) + errorType(word0);
                    case PAGE_TAB_HARDWARE_ERROR ->
                        device + domain + " entry at" + where + direction + flags(word0, ERROR_FLAGS)
                                + errorType(word0);
                    case ILLEGAL_COMMAND_ERROR -> " command at" + where;
                    case COMMAND_HARDWARE_ERROR -> " memory at" + where + errorType(word0);
                    case IOTLB_INV_TIMEOUT -> device + " command at" + where;
                    case INVALID_DEVICE_REQUEST -> device + pasid + " address" + where + ": " + invalidRequest(word0);
                    case INVALID_PPR_REQUEST ->
                        device
                                + pasid
                                + " address"
                                + where
                                + direction
                                + String.format(" tag 0x%03x", PprLogEntry.TAG.get(word0));
                    case RMP_PAGE_FAULT -> device + " address" + where;
                    case RMP_HW_ERROR -> device + " memory at" + where;
                    case RESERVED, EVENT_COUNTER_ZERO, GUEST_EVENT_FAULT, UNKNOWN ->
                        String.format(" 0x%016x 0x%016x", word0, word1);
                };
    }

    private static String flags(long word0, BitField... flags) {
        StringBuilder text = new StringBuilder();
        String separator = " flags ";
        for (BitField flag : flags) {
            if (flag.isSet(word0)) {
                text.append(separator).append(flag.name());
                separator = "|";
            }
        }
        return text.toString();
    }

    private static String errorType(long word0) {
        int type = (int) ERROR_TYPE.get(word0);
        return switch (type) {
            case 1 -> ": master abort";
            case 2 -> ": target abort";
            case 3 -> ": data error";
            default -> ": type " + type;
        };
    }

    private static String invalidRequest(long word0) {
        int type = (int) REQUEST_TYPE.get(word0);
        if (!TR.isSet(word0)) {
            return INVALID_REQUESTS[type];
        }
        return "translation request"
                + switch (type) {
                    case 0 -> ", but I, V or TV is 0";
                    case 1 -> " for interrupts, port I/O or system management";
                    default -> ", type " + type;
                };
    }
}
