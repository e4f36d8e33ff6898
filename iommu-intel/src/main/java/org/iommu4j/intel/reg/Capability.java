// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.reg;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * CAP, the capability register, VT-d 11.4.2.
 *
 * @param value the 64 bits read
 */
public record Capability(long value) {
    static final BitField ND = bits(2, 0, "ND");
    static final BitField AFL = bit(3, "AFL");
    static final BitField RWBF = bit(4, "RWBF");
    static final BitField PLMR = bit(5, "PLMR");
    static final BitField PHMR = bit(6, "PHMR");
    static final BitField CM = bit(7, "CM");
    static final BitField SAGAW = bits(12, 8, "SAGAW");
    static final BitField MGAW = bits(21, 16, "MGAW");
    static final BitField ZLR = bit(22, "ZLR");
    static final BitField ISOCH = bit(23, "ISOCH");
    static final BitField FRO = bits(33, 24, "FRO");
    static final BitField SLLPS = bits(37, 34, "SLLPS");
    static final BitField PSI = bit(39, "PSI");
    static final BitField NFR = bits(47, 40, "NFR");
    static final BitField MAMV = bits(53, 48, "MAMV");
    static final BitField DWD = bit(54, "DWD");
    static final BitField DRD = bit(55, "DRD");
    static final BitField FL1GP = bit(56, "FL1GP");
    static final BitField PI = bit(59, "PI");
    static final BitField FL5LP = bit(60, "FL5LP");
    static final BitField ECMDS = bit(61, "ECMDS");
    static final BitField ESIRTPS = bit(62, "ESIRTPS");
    static final BitField ESRTPS = bit(63, "ESRTPS");

    /** The fields, lowest first. */
    public static final Layout LAYOUT = Layout.of(
            "CAP, VT-d 11.4.2",
            ND,
            AFL,
            RWBF,
            PLMR,
            PHMR,
            CM,
            SAGAW,
            MGAW,
            ZLR,
            ISOCH,
            FRO,
            SLLPS,
            PSI,
            NFR,
            MAMV,
            DWD,
            DRD,
            FL1GP,
            PI,
            FL5LP,
            ECMDS,
            ESIRTPS,
            ESRTPS);

    /** Returns the number of domain ids, 16 to 65536. */
    public int domains() {
        // ND 7 is reserved and would mean more ids than the 16 bits of a DID hold.
        return 1 << Math.min(4 + 2 * (int) ND.get(value), 16);
    }

    /** Returns whether software must flush the write buffer before the unit sees changed tables. */
    public boolean requiresWriteBufferFlush() {
        return RWBF.isSet(value);
    }

    /** Returns whether the unit may cache entries that are not present (an emulated unit). */
    public boolean cachingMode() {
        return CM.isSet(value);
    }

    /** Returns whether second-stage tables of this many levels are supported, 3 to 5. */
    public boolean supportsLevels(int levels) {
        return (SAGAW.get(value) >>> (levels - 2) & 1) != 0;
    }

    /** Returns the number of address bits that requests may carry. */
    public int maximumAddressWidth() {
        return (int) MGAW.get(value) + 1;
    }

    /** Returns the second-stage page sizes as a bitmap of bytes: 4 KiB, and 2 MiB and 1 GiB where supported. */
    public long pageSizes() {
        long large = SLLPS.get(value);
        return 1L << 12 | (large & 1) << 21 | (large >>> 1 & 1) << 30;
    }

    /** Returns the first-stage page sizes as a bitmap of bytes: 4 KiB, 2 MiB, and 1 GiB where supported. */
    public long firstStagePageSizes() {
        return 1L << 12 | 1L << 21 | FL1GP.get(value) << 30;
    }

    /** Returns whether first-stage tables of 5 levels are supported. */
    public boolean firstStageOf5Levels() {
        return FL5LP.isSet(value);
    }

    /** Returns the levels of the largest second-stage table, 3 to 5; 3 when none is supported. */
    public int mostLevels() {
        return supportsLevels(5) ? 5 : supportsLevels(4) ? 4 : 3;
    }

    /** Returns whether IOTLB invalidation can be limited to pages. */
    public boolean pageSelectiveInvalidation() {
        return PSI.isSet(value);
    }

    /** Returns the largest address mask of a page-selective invalidation. */
    public int maximumAddressMask() {
        return (int) MAMV.get(value);
    }

    /** Returns whether invalidation can drain writes. */
    public boolean drainsWrites() {
        return DWD.isSet(value);
    }

    /** Returns whether invalidation can drain reads. */
    public boolean drainsReads() {
        return DRD.isSet(value);
    }

    /** Returns the offset in bytes of the first fault record. */
    public int faultRecordOffset() {
        return (int) FRO.get(value) * 16;
    }

    /** Returns the number of fault records, 1 to 256. */
    public int faultRecords() {
        return (int) NFR.get(value) + 1;
    }

    /** Returns whether firmware may have protected memory from DMA with the unit's own ranges. */
    public boolean protectedMemory() {
        return PLMR.isSet(value) || PHMR.isSet(value);
    }
}
