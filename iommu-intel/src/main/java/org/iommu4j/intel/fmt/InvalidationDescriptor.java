// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.fmt;

import static org.iommu4j.bits.BitField.absolute;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/** The 128-bit descriptors of the invalidation queue, VT-d 6.5.2. */
public final class InvalidationDescriptor {
    /** Bytes of a descriptor. */
    public static final int SIZE = 16;

    /** Granularity: everything. */
    public static final int GLOBAL = 1;
    /** Granularity: one domain id. */
    public static final int DOMAIN = 2;
    /** Granularity of the context cache: one source id. */
    public static final int DEVICE = 3;
    /** Granularity of the IOTLB: pages of one domain id. */
    public static final int PAGE = 3;

    private static final long CONTEXT_CACHE = 1;
    private static final long IOTLB = 2;
    private static final long WAIT = 5;

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

    /** Returns the low word of a wait that writes 32 bits when all earlier descriptors are done. */
    public static long wait(int statusData) {
        return TYPE.of(WAIT) | SW.mask() | DATA.of(statusData & 0xffffffffL);
    }

    /** Returns the high word of a wait: where it writes, 4-byte aligned. */
    public static long waitAddress(long statusAddress) {
        return STATUS.getInPlace(statusAddress);
    }

    /** Decodes a descriptor for a message. */
    public static String decode(long low, long high) {
        long type = TYPE.get(low);
        if (TYPE_HIGH.isSet(low)) {
            return WAIT_LAYOUT.decode(low, high);
        }
        Layout layout = type == CONTEXT_CACHE ? CONTEXT_CACHE_LAYOUT : type == IOTLB ? IOTLB_LAYOUT : WAIT_LAYOUT;
        return layout.decode(low, high);
    }
}
