// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.iommu4j.bits.BitField.absolute;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * The commands that software queues: 128 bits each.
 *
 * <p>Source: 48882, section 2.4, "Commands".
 */
final class AmdViCommand {
    static final int BYTES = 16;

    static final BitField OPCODE = absolute(63, 60, "OpCode");

    static final int COMPLETION_WAIT = 1;
    static final int INVALIDATE_DEVTAB_ENTRY = 2;
    static final int INVALIDATE_IOMMU_PAGES = 3;
    static final int INVALIDATE_IOTLB_PAGES = 4;
    static final int INVALIDATE_INTERRUPT_TABLE = 5;
    static final int PREFETCH_IOMMU_PAGES = 6;
    static final int COMPLETE_PPR_REQUEST = 7;
    static final int INVALIDATE_IOMMU_ALL = 8;

    /** Of COMPLETION_WAIT: store the data; set the status bit; flush. */
    static final BitField STORE = absolute(0, 0, "s");

    static final BitField INTERRUPT = absolute(1, 1, "i");
    static final BitField STORE_ADDRESS = absolute(51, 3, "StoreAddress");

    static final BitField DEVICE_ID = absolute(15, 0, "DeviceID");
    /** Of INVALIDATE_IOMMU_PAGES with GN. */
    static final BitField PASID = absolute(19, 0, "PASID");

    /** Of INVALIDATE_IOTLB_PAGES with GN, whose PASID is in three parts. */
    private static final BitField PASID_15_8 = absolute(23, 16, "PASID 15:8");

    private static final BitField PASID_7_0 = absolute(55, 48, "PASID 7:0");
    private static final BitField PASID_19_16 = absolute(59, 56, "PASID 19:16");

    static final BitField DOMAIN_ID = absolute(47, 32, "DomainID");
    /** The address encodes a size, like the address of a page of encoded size. */
    static final BitField SIZE = absolute(64, 64, "S");
    /** Directory entries too. */
    static final BitField PDE = absolute(65, 65, "PDE");
    /** Guest addresses of one PASID. */
    static final BitField GN = absolute(66, 66, "GN");

    static final BitField ADDRESS = absolute(127, 76, "Address");

    /** Of COMPLETE_PPR_REQUEST; the PASID is valid with GN. */
    static final BitField PPR_PASID = absolute(51, 32, "PASID");

    static final BitField PPR_TAG = absolute(104, 96, "CompletionTag");
    static final BitField PPR_CODE = absolute(111, 108, "PprCode");

    /** By operation code; null where there is none. */
    private static final Layout[] LAYOUTS = {
        Layout.of("no command", 2),
        Layout.of(
                "COMPLETION_WAIT",
                2,
                STORE,
                INTERRUPT,
                absolute(2, 2, "f"),
                STORE_ADDRESS,
                OPCODE,
                absolute(127, 64, "StoreData")),
        Layout.of("INVALIDATE_DEVTAB_ENTRY", 2, DEVICE_ID, OPCODE),
        Layout.of("INVALIDATE_IOMMU_PAGES", 2, PASID, DOMAIN_ID, OPCODE, SIZE, PDE, GN, ADDRESS),
        Layout.of(
                "INVALIDATE_IOTLB_PAGES",
                2,
                DEVICE_ID,
                PASID_15_8,
                absolute(31, 24, "Maxpend"),
                absolute(47, 32, "QueueID"),
                PASID_7_0,
                PASID_19_16,
                OPCODE,
                SIZE,
                GN,
                absolute(69, 68, "Type"),
                ADDRESS),
        Layout.of("INVALIDATE_INTERRUPT_TABLE", 2, DEVICE_ID, OPCODE),
        Layout.of(
                "PREFETCH_IOMMU_PAGES",
                2,
                DEVICE_ID,
                absolute(23, 16, "PASID low"),
                absolute(31, 24, "PFCount"),
                absolute(51, 32, "PASID high"),
                OPCODE,
                SIZE,
                GN,
                absolute(68, 68, "Inval"),
                ADDRESS),
        Layout.of("COMPLETE_PPR_REQUEST", 2, DEVICE_ID, PPR_PASID, OPCODE, GN, PPR_TAG, PPR_CODE),
        Layout.of("INVALIDATE_IOMMU_ALL", 2, OPCODE)
    };

    private static final long[] RESERVED_0 = new long[LAYOUTS.length];
    private static final long[] RESERVED_1 = new long[LAYOUTS.length];

    static {
        for (int i = 0; i < LAYOUTS.length; i++) {
            RESERVED_0[i] = LAYOUTS[i].reserved(0);
            RESERVED_1[i] = LAYOUTS[i].reserved(1);
        }
    }

    private AmdViCommand() {}

    /** Returns the PASID of an INVALIDATE_IOTLB_PAGES. */
    static int pasidOfIotlb(long word0) {
        return (int) (PASID_19_16.get(word0) << 16 | PASID_15_8.get(word0) << 8 | PASID_7_0.get(word0));
    }

    /** Returns whether the command exists and its reserved bits are 0. */
    static boolean wellFormed(long word0, long word1) {
        int opcode = (int) OPCODE.get(word0);
        return opcode > 0
                && opcode < LAYOUTS.length
                && (word0 & RESERVED_0[opcode]) == 0
                && (word1 & RESERVED_1[opcode]) == 0;
    }
}
