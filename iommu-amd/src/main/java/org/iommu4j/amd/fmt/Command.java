// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.fmt;

import static org.iommu4j.bits.BitField.absolute;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;
import org.iommu4j.bits.SplitField;

/** A 128-bit entry of the command buffer, 48882 section 2.4, as two words. */
public final class Command {
    /** The command's opcode. */
    public static final BitField OPCODE = absolute(63, 60, "OpCode");

    /** COMPLETION_WAIT, section 2.4.1. */
    public static final int COMPLETION_WAIT = 1;
    /** INVALIDATE_DEVTAB_ENTRY, section 2.4.2. */
    public static final int INVALIDATE_DEVTAB_ENTRY = 2;
    /** INVALIDATE_IOMMU_PAGES, section 2.4.3. */
    public static final int INVALIDATE_IOMMU_PAGES = 3;
    /** INVALIDATE_IOTLB_PAGES, section 2.4.4. */
    public static final int INVALIDATE_IOTLB_PAGES = 4;
    /** INVALIDATE_INTERRUPT_TABLE, section 2.4.5. */
    public static final int INVALIDATE_INTERRUPT_TABLE = 5;
    /** COMPLETE_PPR_REQUEST, section 2.4.7. */
    public static final int COMPLETE_PPR_REQUEST = 7;
    /** INVALIDATE_IOMMU_ALL, section 2.4.8; only with EFR.IASup. */
    public static final int INVALIDATE_IOMMU_ALL = 8;

    /** COMPLETION_WAIT: store the data at the address. */
    public static final BitField STORE = absolute(0, 0, "s");
    /** COMPLETION_WAIT: interrupt. */
    public static final BitField INTERRUPT = absolute(1, 1, "i");
    /** COMPLETION_WAIT: later commands wait for earlier ones. */
    public static final BitField FLUSH_QUEUE = absolute(2, 2, "f");
    /** COMPLETION_WAIT: the address to store to, in units of 8 bytes. */
    public static final BitField STORE_ADDRESS = absolute(51, 3, "StoreAddress");
    /** COMPLETION_WAIT: the data to store. */
    public static final BitField STORE_DATA = absolute(127, 64, "StoreData");
    /** The requester: of an entry, an interrupt table, a device IOTLB, a page request. */
    public static final BitField DEVICE_ID = absolute(15, 0, "DeviceID");
    /** INVALIDATE_IOMMU_PAGES: the PASID, with {@link #GN}. */
    public static final BitField PASID = absolute(19, 0, "PASID");
    /** INVALIDATE_IOMMU_PAGES: the domain. */
    public static final BitField DOMAIN_ID = absolute(47, 32, "DomainID");
    /** INVALIDATE_IOMMU_PAGES: the address encodes a size above 4 KiB. */
    public static final BitField S = absolute(64, 64, "S");
    /** INVALIDATE_IOMMU_PAGES: cached upper entries are invalidated too. */
    public static final BitField PDE = absolute(65, 65, "PDE");
    /** INVALIDATE_IOMMU_PAGES: guest translations. */
    public static final BitField GN = absolute(66, 66, "GN");
    /** INVALIDATE_IOMMU_PAGES: the address. */
    public static final BitField ADDRESS = absolute(127, 76, "Address");
    /** INVALIDATE_IOTLB_PAGES: the number of invalidations that the device accepts before it answers. */
    public static final BitField MAX_PEND = absolute(31, 24, "MaxPend");
    /** INVALIDATE_IOTLB_PAGES: the queue of the answer. */
    public static final BitField QUEUE_ID = absolute(47, 32, "QueueID");
    /** COMPLETE_PPR_REQUEST: the PASID, with {@link #GN}. */
    public static final BitField PPR_PASID = absolute(51, 32, "PASID");
    /** COMPLETE_PPR_REQUEST: the tag of the request. */
    public static final BitField PPR_TAG = absolute(104, 96, "CompletionTag");
    /** COMPLETE_PPR_REQUEST: the answer. */
    public static final BitField PPR_CODE = absolute(111, 108, "CompletionCode");

    private static final BitField IOTLB_PASID_MIDDLE = absolute(23, 16, "PASID[15:8]");
    private static final BitField IOTLB_PASID_LOW = absolute(55, 48, "PASID[7:0]");
    private static final BitField IOTLB_PASID_HIGH = absolute(59, 56, "PASID[19:16]");

    /** INVALIDATE_IOTLB_PAGES: the PASID, with {@link #GN}; scattered. */
    public static final SplitField IOTLB_PASID =
            SplitField.of("PASID", IOTLB_PASID_LOW, IOTLB_PASID_MIDDLE, IOTLB_PASID_HIGH);

    /** {@link #PPR_CODE}: the page is present now. */
    public static final int PPR_SUCCESS = 0;
    /** {@link #PPR_CODE}: there is no such page. */
    public static final int PPR_INVALID = 1;

    /** The completion wait. */
    public static final Layout COMPLETION_WAIT_LAYOUT = Layout.of(
            "COMPLETION_WAIT (48882 2.4.1)", 2, STORE, INTERRUPT, FLUSH_QUEUE, STORE_ADDRESS, OPCODE, STORE_DATA);
    /** The invalidation of a device table entry. */
    public static final Layout INVALIDATE_DEVTAB_ENTRY_LAYOUT =
            Layout.of("INVALIDATE_DEVTAB_ENTRY (48882 2.4.2)", 2, DEVICE_ID, OPCODE);
    /** The invalidation of pages. */
    public static final Layout INVALIDATE_IOMMU_PAGES_LAYOUT =
            Layout.of("INVALIDATE_IOMMU_PAGES (48882 2.4.3)", 2, PASID, DOMAIN_ID, OPCODE, S, PDE, GN, ADDRESS);
    /** The invalidation of a device's IOTLB. */
    public static final Layout INVALIDATE_IOTLB_PAGES_LAYOUT = Layout.of(
            "INVALIDATE_IOTLB_PAGES (48882 2.4.4)",
            2,
            DEVICE_ID,
            IOTLB_PASID_MIDDLE,
            MAX_PEND,
            QUEUE_ID,
            IOTLB_PASID_LOW,
            IOTLB_PASID_HIGH,
            OPCODE,
            S,
            GN,
            ADDRESS);
    /** The invalidation of an interrupt table. */
    public static final Layout INVALIDATE_INTERRUPT_TABLE_LAYOUT =
            Layout.of("INVALIDATE_INTERRUPT_TABLE (48882 2.4.5)", 2, DEVICE_ID, OPCODE);
    /** The answer to a page request. */
    public static final Layout COMPLETE_PPR_REQUEST_LAYOUT =
            Layout.of("COMPLETE_PPR_REQUEST (48882 2.4.7)", 2, DEVICE_ID, PPR_PASID, OPCODE, GN, PPR_TAG, PPR_CODE);
    /** The invalidation of everything. */
    public static final Layout INVALIDATE_IOMMU_ALL_LAYOUT = Layout.of("INVALIDATE_IOMMU_ALL (48882 2.4.8)", 2, OPCODE);

    /** Bytes of a command. */
    public static final int BYTES = 16;

    /** The address that means every page of the domain; with {@link #S}. */
    public static final long ALL_PAGES = 0x7fff_ffff_ffff_f000L;

    /** Above this power of two a range is not encoded: all pages are invalidated. */
    private static final int LARGEST_RANGE_BIT = 51;

    private Command() {}

    /** Returns word 0 of a completion wait that stores word 1 at an address aligned to 8. */
    public static long completionWait(long storeAddress) {
        return opcode(COMPLETION_WAIT) | STORE.mask() | storeAddress;
    }

    /**
     * Returns word 0 of a completion wait that sets ComWaitInt of the status register, and interrupts if it may; word 1
     * is 0.
     */
    public static long completionInterrupt() {
        return opcode(COMPLETION_WAIT) | INTERRUPT.mask();
    }

    /** Returns word 0 of the invalidation of a device table entry; word 1 is 0. */
    public static long invalidateDevtabEntry(int deviceId) {
        return opcode(INVALIDATE_DEVTAB_ENTRY) | deviceId;
    }

    /** Returns word 0 of an invalidation of pages of a domain. */
    public static long invalidatePages(int domainId) {
        return opcode(INVALIDATE_IOMMU_PAGES) | (long) domainId << DOMAIN_ID.low();
    }

    /**
     * Returns word 1 of an invalidation of pages: the smallest naturally aligned power of two that contains the range.
     *
     * <p>The size is encoded as in a page table entry: by the lowest zero of the address, with ones below it.
     *
     * @param first any byte of the first page
     * @param last any byte of the last page
     */
    public static long pages(long first, long last) {
        long firstPage = first & ADDRESS.mask();
        long different = firstPage ^ (last & ADDRESS.mask());
        if (different == 0) {
            return PDE.mask() | firstPage;
        }
        int highest = 63 - Long.numberOfLeadingZeros(different);
        if (highest > LARGEST_RANGE_BIT) {
            return allPages();
        }
        long ones = (1L << highest) - 1;
        return S.mask() | PDE.mask() | (((first & ~(1L << highest)) | ones) & ADDRESS.mask());
    }

    /** Returns word 1 of an invalidation of the same pages that leaves the entries above them, unless all are meant. */
    public static long leaves(long pages) {
        return pages == allPages() ? pages : pages & ~PDE.mask();
    }

    /** Returns word 1 of an invalidation of every page of a domain. */
    public static long allPages() {
        return S.mask() | PDE.mask() | ALL_PAGES;
    }

    /** Returns word 0 of an invalidation of pages of a domain's guest table; {@link #GN} goes into word 1. */
    public static long invalidateGuestPages(int domainId, int pasid) {
        return invalidatePages(domainId) | pasid;
    }

    /**
     * Returns word 0 of an invalidation of pages of a device's IOTLB.
     *
     * @param pasid with {@link #GN} in word 1, else 0
     * @param maxPending from the device's ATS capability, 0 to 31
     */
    public static long invalidateIotlbPages(int deviceId, int pasid, int maxPending) {
        return opcode(INVALIDATE_IOTLB_PAGES)
                | IOTLB_PASID_HIGH.of(pasid >>> 16)
                | IOTLB_PASID_LOW.of(pasid & 0xff)
                | (long) deviceId << QUEUE_ID.low()
                | MAX_PEND.of(maxPending)
                | IOTLB_PASID_MIDDLE.of(pasid >>> 8 & 0xff)
                | deviceId;
    }

    /**
     * Returns word 1 of an invalidation of a device's IOTLB from word 1 for the unit: the device does not cache tables.
     */
    public static long iotlbPages(long unitPages) {
        return unitPages & ~PDE.mask();
    }

    /** Returns word 0 of the invalidation of a requester's interrupt table; word 1 is 0. */
    public static long invalidateInterruptTable(int deviceId) {
        return opcode(INVALIDATE_INTERRUPT_TABLE) | deviceId;
    }

    /** Returns word 0 of the answer to a page request; its PASID is valid with {@link #GN} in word 1. */
    public static long completePpr0(int deviceId, int pasid) {
        return opcode(COMPLETE_PPR_REQUEST) | PPR_PASID.of(pasid) | deviceId;
    }

    /** Returns word 1 of the answer to a page request. */
    public static long completePpr1(boolean withPasid, int tag, int code) {
        return (withPasid ? GN.mask() : 0) | PPR_TAG.of(tag) | PPR_CODE.of(code);
    }

    /** Returns word 0 of the invalidation of all that the unit caches; word 1 is 0. */
    public static long invalidateAll() {
        return opcode(INVALIDATE_IOMMU_ALL);
    }

    private static long opcode(int code) {
        return (long) code << OPCODE.low();
    }

    /** Decodes a command for a message. */
    public static String decode(long word0, long word1) {
        int code = (int) OPCODE.get(word0);
        return switch (code) {
            case COMPLETION_WAIT -> COMPLETION_WAIT_LAYOUT.decode(word0, word1);
            case INVALIDATE_DEVTAB_ENTRY -> INVALIDATE_DEVTAB_ENTRY_LAYOUT.decode(word0, word1);
            case INVALIDATE_IOMMU_PAGES -> INVALIDATE_IOMMU_PAGES_LAYOUT.decode(word0, word1);
            case INVALIDATE_IOTLB_PAGES -> INVALIDATE_IOTLB_PAGES_LAYOUT.decode(word0, word1);
            case INVALIDATE_INTERRUPT_TABLE -> INVALIDATE_INTERRUPT_TABLE_LAYOUT.decode(word0, word1);
            case COMPLETE_PPR_REQUEST -> COMPLETE_PPR_REQUEST_LAYOUT.decode(word0, word1);
            case INVALIDATE_IOMMU_ALL -> INVALIDATE_IOMMU_ALL_LAYOUT.decode(word0, word1);
            default -> String.format("command 0x%016x_%016x with unknown opcode 0x%x", word1, word0, code);
        };
    }
}
