// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import org.iommu4j.bits.BitField;

/**
 * A unit's features, from EFR and its capability header.
 *
 * <p>Source: 48882, MMIO Offset 0030h, and Capability Offset 00h.
 */
final class AmdViFeatures {
    private static final BitField PREF_SUP = BitField.bit(0, "PreFSup");
    private static final BitField PPR_SUP = BitField.bit(1, "PPRSup");
    private static final BitField NX_SUP = BitField.bit(3, "NXSup");
    private static final BitField GT_SUP = BitField.bit(4, "GTSup");
    private static final BitField IA_SUP = BitField.bit(6, "IASup");
    private static final BitField HE_SUP = BitField.bit(8, "HESup");
    /** Levels of host tables: 0 to 2 stand for 4 to 6, 3 for no host translation. */
    private static final BitField HATS = BitField.bits(11, 10, "HATS");
    /** Levels of guest tables: 0 stands for 4, 1 for up to 5. */
    private static final BitField GATS = BitField.bits(13, 12, "GATS");
    /** Levels of GCR3 tables minus 1. */
    private static final BitField GLX_SUP = BitField.bits(15, 14, "GLXSup");
    /** Bits of a PASID minus 1. */
    private static final BitField PAS_MAX = BitField.bits(36, 32, "PASmax");

    private static final BitField PPR_AUTO_RSP_SUP = BitField.bit(41, "PPRAutoRspSup");
    private static final BitField GIO_SUP = BitField.bit(48, "GIOSup");
    private static final BitField HA_SUP = BitField.bit(49, "HASup");
    private static final BitField EPH_SUP = BitField.bit(50, "EPHSup");
    private static final BitField HD_SUP = BitField.bit(52, "HDSup");

    /** Fields of EFR2. */
    private static final BitField GCR3_TRP_MODE = BitField.bit(3, "GCR3TRPMode");

    private static final BitField IOTLB_SUP = BitField.bit(24, "IotlbSup");
    private static final BitField NP_CACHE = BitField.bit(26, "NpCache");

    private static final int PASID_BITS = 20;

    /** Levels of host tables, 4 to 6; 0 when the unit has none. */
    final int hostLevels;
    /** Whether there are guest tables and PASIDs. */
    final boolean guest;
    /** Levels of guest tables, 4 or 5. */
    final int guestLevels;
    /** Levels of GCR3 tables, 1 to 3. */
    final int gcr3Levels;
    /** Bits of a PASID, 1 to 20. */
    final int pasidBits;
    /** Whether guest entries have NX. */
    final boolean noExecute;
    /** Whether requests without PASID can go through guest tables. */
    final boolean guestWithoutPasid;
    /** Whether GCR3 tables can be at guest physical addresses. */
    final boolean gcr3OfGuests;
    /** Whether host entries have an accessed bit, and a dirty one. */
    final boolean hostAccessed;

    final boolean hostDirty;
    /** Whether devices may have their own IOTLBs. */
    final boolean deviceIotlbs;
    /** Whether entries that are not present are cached. */
    final boolean cachesNotPresent;

    final boolean prefetch;
    final boolean pageRequests;
    /** Whether the unit itself can answer lost page requests. */
    final boolean pageAutoResponse;
    /** Whether PPR of a device table entry decides if a device may send page requests. */
    final boolean enhancedPageRequests;

    final boolean invalidateAll;
    final boolean hardwareErrorRegisters;

    /**
     * Decodes registers.
     *
     * @param efr the value of EFR
     * @param efr2 the value of EFR2
     * @param capability the capability header
     */
    AmdViFeatures(long efr, long efr2, long capability) {
        int hats = (int) HATS.get(efr);
        hostLevels = hats == 3 ? 0 : hats + 4;
        guest = GT_SUP.isSet(efr);
        guestLevels = GATS.get(efr) == 0 ? 4 : 5;
        gcr3Levels = Math.min((int) GLX_SUP.get(efr) + 1, 3);
        pasidBits = Math.min((int) PAS_MAX.get(efr) + 1, PASID_BITS);
        noExecute = NX_SUP.isSet(efr);
        guestWithoutPasid = guest && GIO_SUP.isSet(efr);
        gcr3OfGuests = guest && GCR3_TRP_MODE.isSet(efr2);
        hostAccessed = HA_SUP.isSet(efr);
        hostDirty = HD_SUP.isSet(efr);
        deviceIotlbs = IOTLB_SUP.isSet(capability);
        cachesNotPresent = NP_CACHE.isSet(capability);
        prefetch = PREF_SUP.isSet(efr);
        pageRequests = PPR_SUP.isSet(efr);
        pageAutoResponse = PPR_AUTO_RSP_SUP.isSet(efr);
        enhancedPageRequests = EPH_SUP.isSet(efr);
        invalidateAll = IA_SUP.isSet(efr);
        hardwareErrorRegisters = HE_SUP.isSet(efr);
    }
}
