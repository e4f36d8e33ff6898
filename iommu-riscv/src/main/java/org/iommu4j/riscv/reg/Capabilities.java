// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.reg;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import java.util.LinkedHashMap;
import java.util.Map;
import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/** The register {@code capabilities}: what a unit can do, "IOMMU capabilities". */
public final class Capabilities {
    /** The register's name. */
    public static final String NAME = "capabilities";

    /** Version: major 7:4, minor 3:0. */
    public static final BitField VERSION = bits(7, 0, "version");
    /** First stage of 32 bits. */
    public static final BitField SV32 = bit(8, "Sv32");
    /** First stage of 39 bits, 3 levels. */
    public static final BitField SV39 = bit(9, "Sv39");
    /** First stage of 48 bits, 4 levels. */
    public static final BitField SV48 = bit(10, "Sv48");
    /** First stage of 57 bits, 5 levels. */
    public static final BitField SV57 = bit(11, "Sv57");
    /** Bits 60:59 of an entry are software's. */
    public static final BitField SVRSW60T59B = bit(14, "Svrsw60t59b");
    /** Entries have memory types. */
    public static final BitField SVPBMT = bit(15, "Svpbmt");
    /** Second stage of 34 bits. */
    public static final BitField SV32X4 = bit(16, "Sv32x4");
    /** Second stage of 41 bits. */
    public static final BitField SV39X4 = bit(17, "Sv39x4");
    /** Second stage of 50 bits. */
    public static final BitField SV48X4 = bit(18, "Sv48x4");
    /** Second stage of 59 bits. */
    public static final BitField SV57X4 = bit(19, "Sv57x4");
    /** MRIFs are updated by atomic operations. */
    public static final BitField AMO_MRIF = bit(21, "AMO_MRIF");
    /** Flat MSI tables; device contexts have 64 bytes. */
    public static final BitField MSI_FLAT = bit(22, "MSI_FLAT");
    /** Memory-resident interrupt files. */
    public static final BitField MSI_MRIF = bit(23, "MSI_MRIF");
    /** The unit updates A and D bits. */
    public static final BitField AMO_HWAD = bit(24, "AMO_HWAD");
    /** ATS, and page requests. */
    public static final BitField ATS = bit(25, "ATS");
    /** Translation requests may get guest physical addresses. */
    public static final BitField T2GPA = bit(26, "T2GPA");
    /** Both byte orders. */
    public static final BitField END = bit(27, "END");
    /** How it interrupts: 0 by MSI, 1 by wire, 2 either. */
    public static final BitField IGS = bits(29, 28, "IGS");
    /** Performance counters. */
    public static final BitField HPM = bit(30, "HPM");
    /** Translation requests for debugging. */
    public static final BitField DBG = bit(31, "DBG");
    /** Bits of a physical address. */
    public static final BitField PAS = bits(37, 32, "PAS");
    /** Process ids of 8 bits. */
    public static final BitField PD8 = bit(38, "PD8");
    /** Process ids of 17 bits. */
    public static final BitField PD17 = bit(39, "PD17");
    /** Process ids of 20 bits. */
    public static final BitField PD20 = bit(40, "PD20");
    /** QoS ids. */
    public static final BitField QOSID = bit(41, "QOSID");
    /** Invalidation of entries of all levels. */
    public static final BitField NL = bit(42, "NL");
    /** Invalidation of an address range. */
    public static final BitField S = bit(43, "S");

    /** The register. */
    public static final Layout LAYOUT = Layout.of(
            NAME,
            VERSION,
            SV32,
            SV39,
            SV48,
            SV57,
            SVRSW60T59B,
            SVPBMT,
            SV32X4,
            SV39X4,
            SV48X4,
            SV57X4,
            AMO_MRIF,
            MSI_FLAT,
            MSI_MRIF,
            AMO_HWAD,
            ATS,
            T2GPA,
            END,
            IGS,
            HPM,
            DBG,
            PAS,
            PD8,
            PD17,
            PD20,
            QOSID,
            NL,
            S);

    /** {@link #IGS} of a unit that sends MSIs only. */
    public static final int IGS_MSI = 0;
    /** {@link #IGS} of a unit that has wires only. */
    public static final int IGS_WIRES = 1;
    /** {@link #IGS} of a unit that has both. */
    public static final int IGS_BOTH = 2;

    private Capabilities() {}

    /** Returns whether a value can be a unit's: hardware that is absent reads as all ones or zeros. */
    public static boolean makesSense(long value) {
        return value != 0 && value != -1L;
    }

    /** Returns the levels of the largest first-stage table that the driver makes, 5 to 3; 0 when there is none. */
    public static int levels(long value) {
        return SV57.isSet(value) ? 5 : SV48.isSet(value) ? 4 : SV39.isSet(value) ? 3 : 0;
    }

    /** Returns whether a unit walks first-stage tables of 5, 4 or 3 levels. */
    public static boolean walks(long value, int levels) {
        BitField mode = levels == 5 ? SV57 : levels == 4 ? SV48 : SV39;
        return mode.isSet(value);
    }

    /** Returns every field by the manual's name, in its order. */
    public static Map<String, Long> fields(long value) {
        Map<String, Long> fields = new LinkedHashMap<>();
        LAYOUT.fields().forEach(field -> fields.put(NAME + "." + field.name(), field.get(value)));
        return fields;
    }
}
