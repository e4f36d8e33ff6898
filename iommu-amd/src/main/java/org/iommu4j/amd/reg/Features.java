// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.reg;

import static org.iommu4j.bits.Access.READ_ONLY;
import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import java.util.Map;
import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Register;

/** A unit's extended feature registers, 48882 sections 3.4.9 and 3.4.10, and its PCI capability. */
public final class Features {
    /** Page requests. */
    public static final BitField PPR_SUP = bit(1, "PPRSup");
    /** Guest tables. */
    public static final BitField GT_SUP = bit(4, "GTSup");
    /** The unit itself can answer page requests when its log is full. */
    public static final BitField PPR_AUTO_RSP_SUP = bit(41, "PPRAutoRspSup");
    /** PPR of a device table entry has an effect. */
    public static final BitField EPH_SUP = bit(50, "EPHSup");
    /** INVALIDATE_IOMMU_ALL. */
    public static final BitField IA_SUP = bit(6, "IASup");
    /** Interrupts reach guests without their hypervisor: the guest virtual APIC. */
    public static final BitField GA_SUP = bit(7, "GASup");
    /** Host address translation size: 4, 5 or 6 levels; 3 is none. */
    public static final BitField HATS = bits(11, 10, "HATS");
    /** Guest address translation size: 4 or 5 levels. */
    public static final BitField GATS = bits(13, 12, "GATS");
    /** Levels of GCR3 tables: 1 to 3; 3 is reserved. */
    public static final BitField GLX_SUP = bits(15, 14, "GLXSup");
    /** PASIDs: 2^(n+1). */
    public static final BitField PAS_MAX = bits(36, 32, "PASmax");
    /** Requests without a PASID may use guest tables. */
    public static final BitField GIO_SUP = bit(48, "GIoSup");
    /** Host dirty tracking. */
    public static final BitField HD_SUP = bit(52, "HDSup");
    /** Secure nested paging. */
    public static final BitField SNP_SUP = bit(63, "SNPSup");

    /** Extended features. */
    public static final Register EFR = Register.of("EFR", 0x0030, 64, "48882 3.4.9")
            .field(bit(0, "PreFSup"), READ_ONLY)
            .field(PPR_SUP, READ_ONLY)
            .field(bit(2, "XTSup"), READ_ONLY)
            .field(bit(3, "NXSup"), READ_ONLY)
            .field(GT_SUP, READ_ONLY)
            .field(bit(5, "GAPPISup"), READ_ONLY)
            .field(IA_SUP, READ_ONLY)
            .field(GA_SUP, READ_ONLY)
            .field(bit(8, "HESup"), READ_ONLY)
            .field(bit(9, "PCSup"), READ_ONLY)
            .field(HATS, READ_ONLY)
            .field(GATS, READ_ONLY)
            .field(GLX_SUP, READ_ONLY)
            .field(bits(17, 16, "SmiFSup"), READ_ONLY)
            .field(bits(20, 18, "SmiFRC"), READ_ONLY)
            .field(bits(23, 21, "GAMSup"), READ_ONLY)
            .field(bits(25, 24, "DualPprLogSup"), READ_ONLY)
            .field(bits(29, 28, "DualEventLogSup"), READ_ONLY)
            .field(PAS_MAX, READ_ONLY)
            .field(bit(37, "USSup"), READ_ONLY)
            .field(bits(39, 38, "DevTblSegSup"), READ_ONLY)
            .field(bit(40, "PprOvrflwEarlySup"), READ_ONLY)
            .field(PPR_AUTO_RSP_SUP, READ_ONLY)
            .field(bits(43, 42, "MarcSup"), READ_ONLY)
            .field(bit(44, "BlkStopMrkSup"), READ_ONLY)
            .field(bit(45, "PerfOptSup"), READ_ONLY)
            .field(bit(46, "MsiCapMmioSup"), READ_ONLY)
            .field(GIO_SUP, READ_ONLY)
            .field(bit(49, "HASup"), READ_ONLY)
            .field(EPH_SUP, READ_ONLY)
            .field(bit(51, "AttrFWSup"), READ_ONLY)
            .field(HD_SUP, READ_ONLY)
            .field(bit(54, "InvIotlbTypeSup"), READ_ONLY)
            .field(bit(61, "GAUpdateDisSup"), READ_ONLY)
            .field(bit(62, "ForcePhyDestSup"), READ_ONLY)
            .field(SNP_SUP, READ_ONLY);

    /** {@link Registers#GCR3_TRP_MODE} can be set. */
    public static final BitField GCR3_TRP_MODE_SUP = bit(3, "GCR3TRPMode");
    /** The HyperTransport range is translated like any other. */
    public static final BitField HT_RANGE_IGNORE = bit(11, "HTRangeIgnore");

    /** Device table entries may have Mode 0 while SNP is on. Revision 3.08 has no such bit; Linux 7.3 knows it. */
    public static final BitField SNP_PAGE_MODE0_SUP = bit(13, "SNPPageMode0Sup");

    /** Extended features 2. */
    public static final Register EFR2 = Register.of("EFR2", 0x01a0, 64, "48882 3.4.10")
            .field(bit(2, "TMPMSup"), READ_ONLY)
            .field(GCR3_TRP_MODE_SUP, READ_ONLY)
            .field(bit(4, "GAPPIDisSup"), READ_ONLY)
            .field(bits(7, 5, "SnpAvicSup"), READ_ONLY)
            .field(bits(9, 8, "NumIntRemapSup"), READ_ONLY)
            .field(HT_RANGE_IGNORE, READ_ONLY)
            .field(SNP_PAGE_MODE0_SUP, READ_ONLY);

    /** PCI capability header, section 3.2.1: id of the capability. */
    public static final BitField CAP_ID = bits(7, 0, "CapId");
    /** PCI capability header: device IOTLBs. */
    public static final BitField IOTLB_SUP = bit(24, "IotlbSup");
    /** PCI capability header: the unit also caches that an entry was not present. */
    public static final BitField NP_CACHE = bit(26, "NpCache");
    /** PCI capability header: the extended feature register exists. */
    public static final BitField EFR_SUP = bit(27, "EFRSup");

    /** {@link #CAP_ID} of a secure device, which an IOMMU is. */
    public static final int CAPABILITY_SECURE_DEVICE = 0x0f;

    private Features() {}

    /** Adds a register's fields, named {@code EFR.HATS}, to a map in the manual's order. */
    public static void decode(Register register, long value, Map<String, Long> into) {
        for (BitField field : register.layout().fields()) {
            into.put(register.name() + "." + field.name(), field.get(value));
        }
    }

    /** Returns the levels of guest page tables that a unit walks, or 0 when it has none. */
    public static int guestLevels(long efr) {
        return GT_SUP.isSet(efr) ? Math.min(5, 4 + (int) GATS.get(efr)) : 0;
    }

    /** Returns the levels of GCR3 tables that a unit walks, or 0 when it has no guest tables. */
    public static int gcr3Levels(long efr) {
        return GT_SUP.isSet(efr) ? Math.min(3, 1 + (int) GLX_SUP.get(efr)) : 0;
    }

    /** Returns whether a unit translates by a guest's own tables, including its GCR3 table, above host tables. */
    public static boolean nests(long efr, long efr2) {
        return GT_SUP.isSet(efr) && GIO_SUP.isSet(efr) && GCR3_TRP_MODE_SUP.isSet(efr2);
    }

    /** Returns how many PASIDs a unit supports, or 0 when it has no guest tables. */
    public static int pasids(long efr) {
        return GT_SUP.isSet(efr) ? 1 << Math.min(20, (int) PAS_MAX.get(efr) + 1) : 0;
    }

    /** Returns the levels of host page tables that a unit walks, or 0 when it has none. */
    public static int hostLevels(long efr) {
        int hats = (int) HATS.get(efr);
        return hats == 3 ? 0 : 4 + hats;
    }
}
