// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.fmt;

import static org.iommu4j.bits.BitField.absolute;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * The descriptors of the invalidation queue, VT-d 6.5.2: 128 bits, or the same and 128 reserved bits after them.
 *
 * <p>IQA.DW selects the width for the whole queue; the wide ones are for units that support scalable mode.
 */
public final class InvalidationDescriptor {
    /** Bytes of a descriptor. */
    public static final int SIZE = 16;
    /** Bytes of a descriptor of a unit that supports scalable mode. */
    public static final int WIDE_SIZE = 32;

    /** Granularity: everything. */
    public static final int GLOBAL = 1;
    /** Granularity: one domain id. */
    public static final int DOMAIN = 2;
    /** Granularity of the context cache: one source id. */
    public static final int DEVICE = 3;
    /** Granularity of the IOTLB: pages of one domain id. */
    public static final int PAGE = 3;

    /** Granularity of the PASID cache: one PASID of one domain id. */
    public static final int PASID_CACHE_PASID = 1;
    /** Granularity of the PASID cache: everything. */
    public static final int PASID_CACHE_GLOBAL = 3;
    /** Granularity of the PASID-based IOTLB: one PASID of one domain id. */
    public static final int PASID_ALL = 2;
    /** Granularity of the PASID-based IOTLB: pages of one PASID of one domain id. */
    public static final int PASID_PAGE = 3;

    /** Address mask of a device TLB invalidation: everything. */
    public static final int ALL_PAGES = 52;

    private static final int CONTEXT_CACHE = 1;
    private static final int IOTLB = 2;
    private static final int DEVICE_TLB = 3;
    private static final int WAIT = 5;
    private static final int PASID_IOTLB = 6;
    private static final int PASID_CACHE = 7;
    private static final int PASID_DEVICE_TLB = 8;
    private static final int PAGE_GROUP_RESPONSE = 9;

    private static final BitField TYPE = absolute(3, 0, "TYPE");
    private static final BitField TYPE_HIGH = absolute(11, 9, "TYPE[6:4]");
    private static final BitField G = absolute(5, 4, "G");
    private static final BitField DID = absolute(31, 16, "DID");

    // Context-cache invalidate
    private static final BitField SID = absolute(47, 32, "SID");
    private static final BitField FM = absolute(49, 48, "FM");

    /** Context-cache invalidate. */
    public static final Layout CONTEXT_CACHE_LAYOUT =
            Layout.of("context-cache invalidate, VT-d 6.5.2.1", 2, TYPE, G, TYPE_HIGH, DID, SID, FM);

    // IOTLB invalidate
    private static final BitField DW = absolute(6, 6, "DW");
    private static final BitField DR = absolute(7, 7, "DR");
    private static final BitField AM = absolute(69, 64, "AM");
    private static final BitField IH = absolute(70, 70, "IH");
    private static final BitField ADDR = absolute(127, 76, "ADDR");

    /** IOTLB invalidate. */
    public static final Layout IOTLB_LAYOUT =
            Layout.of("IOTLB invalidate, VT-d 6.5.2.3", 2, TYPE, G, DW, DR, TYPE_HIGH, DID, AM, IH, ADDR);

    // PASID-cache invalidate
    private static final BitField PASID = absolute(51, 32, "PASID");

    /** PASID-cache invalidate. */
    public static final Layout PASID_CACHE_LAYOUT =
            Layout.of("PASID-cache invalidate, VT-d 6.5.2.2", 2, TYPE, G, TYPE_HIGH, DID, PASID);

    /** PASID-based IOTLB invalidate. */
    public static final Layout PASID_IOTLB_LAYOUT =
            Layout.of("PASID-based IOTLB invalidate, VT-d 6.5.2.4", 2, TYPE, G, TYPE_HIGH, DID, PASID, AM, IH, ADDR);

    // Device-TLB invalidate
    private static final BitField PFSID_LOW = absolute(15, 12, "PFSID[3:0]");
    private static final BitField MIP = absolute(20, 16, "MIP");
    private static final BitField PFSID_HIGH = absolute(63, 52, "PFSID[15:4]");
    private static final BitField S = absolute(64, 64, "S");

    /** Device-TLB invalidate. */
    public static final Layout DEVICE_TLB_LAYOUT = Layout.of(
            "device-TLB invalidate, VT-d 6.5.2.5", 2, TYPE, TYPE_HIGH, PFSID_LOW, MIP, SID, PFSID_HIGH, S, ADDR);

    // PASID-based device-TLB invalidate
    private static final BitField PASID_MIP = absolute(8, 4, "MIP");
    private static final BitField PASID_SID = absolute(31, 16, "SID");
    private static final BitField GLOBAL_PASIDS = absolute(64, 64, "G");
    private static final BitField PASID_S = absolute(75, 75, "S");

    /** PASID-based device-TLB invalidate. */
    public static final Layout PASID_DEVICE_TLB_LAYOUT = Layout.of(
            "PASID-based device-TLB invalidate, VT-d 6.5.2.6",
            2,
            TYPE,
            PASID_MIP,
            TYPE_HIGH,
            PFSID_LOW,
            PASID_SID,
            PASID,
            PFSID_HIGH,
            GLOBAL_PASIDS,
            PASID_S,
            ADDR);

    // Invalidation wait
    private static final BitField IF = absolute(4, 4, "IF");
    private static final BitField SW = absolute(5, 5, "SW");
    private static final BitField FN = absolute(6, 6, "FN");
    private static final BitField PD = absolute(7, 7, "PD");
    private static final BitField DATA = absolute(63, 32, "DATA");
    private static final BitField STATUS = absolute(127, 66, "ADDR");

    /** Invalidation wait. */
    public static final Layout WAIT_LAYOUT =
            Layout.of("invalidation wait, VT-d 6.5.2.8", 2, TYPE, IF, SW, FN, PD, TYPE_HIGH, DATA, STATUS);

    // Page group response
    private static final BitField PP = absolute(4, 4, "PP");
    private static final BitField RC = absolute(15, 12, "RC");
    private static final BitField RID = absolute(31, 16, "RID");
    private static final BitField LPIG = absolute(66, 66, "LPIG");
    private static final BitField PRGI = absolute(75, 67, "PRGI");

    /** Page group response. */
    public static final Layout PAGE_GROUP_RESPONSE_LAYOUT =
            Layout.of("page group response, VT-d 7.6.1", 2, TYPE, PP, TYPE_HIGH, RC, RID, PASID, LPIG, PRGI);

    private InvalidationDescriptor() {}

    /** Returns the low word of a context-cache invalidate; the high word is 0. */
    public static long contextCache(int granularity, int domainId, int sourceId) {
        return TYPE.of(CONTEXT_CACHE) | G.of(granularity) | DID.of(domainId) | SID.of(sourceId);
    }

    /** Returns the low word of an IOTLB invalidate. */
    public static long iotlb(int granularity, int domainId, boolean drainWrites, boolean drainReads) {
        return TYPE.of(IOTLB)
                | G.of(granularity)
                | (drainWrites ? DW.mask() : 0)
                | (drainReads ? DR.mask() : 0)
                | DID.of(domainId);
    }

    /** Returns the high word of a page-selective IOTLB invalidate: 2^mask pages from an address aligned to them. */
    public static long pages(long address, int mask, boolean leavesOnly) {
        return AM.of(mask) | (leavesOnly ? IH.mask() : 0) | ADDR.getInPlace(address);
    }

    /** Returns the low word of a PASID-cache invalidate; the high word is 0. */
    public static long pasidCache(int granularity, int domainId, int pasid) {
        return TYPE.of(PASID_CACHE) | G.of(granularity) | DID.of(domainId) | PASID.of(pasid);
    }

    /** Returns the low word of a PASID-based IOTLB invalidate; {@link #pages} encodes the pages. */
    public static long pasidIotlb(int granularity, int domainId, int pasid) {
        return TYPE.of(PASID_IOTLB) | G.of(granularity) | DID.of(domainId) | PASID.of(pasid);
    }

    /**
     * Returns the low word of a device-TLB invalidate.
     *
     * @param sourceId the device
     * @param depth the number of invalidations that the device can queue, 0 for 32
     * @param physicalFunction the source id of its physical function, or 0 where the unit does not throttle (ECAP.DIT)
     */
    public static long deviceTlb(int sourceId, int depth, int physicalFunction) {
        return TYPE.of(DEVICE_TLB)
                | PFSID_LOW.of(physicalFunction & 0xf)
                | MIP.of(depth)
                | SID.of(sourceId)
                | PFSID_HIGH.of(physicalFunction >>> 4);
    }

    /** Returns the high word of a device-TLB invalidate of 2^mask pages from an address aligned to them. */
    public static long devicePages(long address, int mask) {
        return ADDR.getInPlace(sized(address, mask)) | (mask > 0 ? S.mask() : 0);
    }

    /** Returns the low word of a PASID-based device-TLB invalidate; see {@link #deviceTlb}. */
    public static long pasidDeviceTlb(int sourceId, int depth, int physicalFunction, int pasid) {
        return TYPE.of(PASID_DEVICE_TLB)
                | PASID_MIP.of(depth)
                | PFSID_LOW.of(physicalFunction & 0xf)
                | PASID_SID.of(sourceId)
                | PASID.of(pasid)
                | PFSID_HIGH.of(physicalFunction >>> 4);
    }

    /** Returns the high word of a PASID-based device-TLB invalidate of 2^mask pages. */
    public static long pasidDevicePages(long address, int mask) {
        return ADDR.getInPlace(sized(address, mask)) | (mask > 0 ? PASID_S.mask() : 0);
    }

    /** Encodes a size in an address as PCIe does: ones up to the bit below the size's, and that bit 0. */
    private static long sized(long address, int mask) {
        if (mask == 0) {
            return address;
        }
        long half = 1L << (11 + mask);
        return (address & ~half) | (half - 1);
    }

    /** Returns the low word of a wait that writes 32 bits when all earlier descriptors are done. */
    public static long wait(int statusData) {
        return TYPE.of(WAIT) | SW.mask() | DATA.of(statusData & 0xffffffffL);
    }

    /**
     * Returns the low word of a wait that also waits until arrived page requests are in their queue, or answered.
     */
    public static long waitForPageRequests(int statusData) {
        return wait(statusData) | PD.mask();
    }

    /**
     * Returns the low word of a page group response.
     *
     * @param requesterId the device
     * @param pasid the request's PASID, below 0 for none
     * @param code PCI Express's response code
     */
    public static long pageGroupResponse(int requesterId, int pasid, int code) {
        return TYPE.of(PAGE_GROUP_RESPONSE)
                | (pasid >= 0 ? PP.mask() | PASID.of(pasid) : 0)
                | RC.of(code)
                | RID.of(requesterId);
    }

    /** Returns the high word of a page group response: the group whose last request is answered. */
    public static long pageGroup(int index) {
        return LPIG.mask() | PRGI.of(index);
    }

    /** Returns the high word of a wait: the address that it writes, 4-byte aligned. */
    public static long waitAddress(long statusAddress) {
        return STATUS.getInPlace(statusAddress);
    }

    /** Decodes a descriptor for a message. */
    public static String decode(long low, long high) {
        int type = TYPE_HIGH.isSet(low) ? 0 : (int) TYPE.get(low);
        Layout layout = switch (type) {
            case CONTEXT_CACHE -> CONTEXT_CACHE_LAYOUT;
            case IOTLB -> IOTLB_LAYOUT;
            case DEVICE_TLB -> DEVICE_TLB_LAYOUT;
            case PASID_IOTLB -> PASID_IOTLB_LAYOUT;
            case PASID_CACHE -> PASID_CACHE_LAYOUT;
            case PASID_DEVICE_TLB -> PASID_DEVICE_TLB_LAYOUT;
            case PAGE_GROUP_RESPONSE -> PAGE_GROUP_RESPONSE_LAYOUT;
            default -> WAIT_LAYOUT;
        };
        return layout.decode(low, high);
    }
}
