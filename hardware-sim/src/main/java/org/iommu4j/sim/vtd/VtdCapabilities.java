// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;

/**
 * A unit's CAP and ECAP, decoded once.
 *
 * <p>Source: VT-d 11.4.2 and 11.4.3.
 */
final class VtdCapabilities {
    private static final BitField ND = bits(2, 0, "ND");
    private static final BitField AFL = bit(3, "AFL");
    private static final BitField RWBF = bit(4, "RWBF");
    private static final BitField PLMR = bit(5, "PLMR");
    private static final BitField PHMR = bit(6, "PHMR");
    private static final BitField CM = bit(7, "CM");
    private static final BitField SAGAW = bits(12, 8, "SAGAW");
    private static final BitField MGAW = bits(21, 16, "MGAW");
    private static final BitField FRO = bits(33, 24, "FRO");
    private static final BitField SLLPS = bits(37, 34, "SLLPS");
    private static final BitField PSI = bit(39, "PSI");
    private static final BitField NFR = bits(47, 40, "NFR");
    private static final BitField MAMV = bits(53, 48, "MAMV");
    private static final BitField FL1GP = bit(56, "FL1GP");
    private static final BitField FL5LP = bit(60, "FL5LP");
    private static final BitField ESRTPS = bit(63, "ESRTPS");

    private static final BitField C = bit(0, "C");
    private static final BitField QI = bit(1, "QI");
    private static final BitField DT = bit(2, "DT");
    private static final BitField IR = bit(3, "IR");
    private static final BitField PT = bit(6, "PT");
    private static final BitField SC = bit(7, "SC");
    private static final BitField IRO = bits(17, 8, "IRO");
    private static final BitField NEST = bit(26, "NEST");
    private static final BitField PRS = bit(29, "PRS");
    private static final BitField ERS = bit(30, "ERS");
    private static final BitField SRS = bit(31, "SRS");
    private static final BitField EAFS = bit(34, "EAFS");
    private static final BitField PASID = bit(40, "PASID");
    private static final BitField SMTS = bit(43, "SMTS");
    private static final BitField SLADS = bit(45, "SLADS");
    private static final BitField SLTS = bit(46, "SLTS");
    private static final BitField FLTS = bit(47, "FLTS");
    private static final BitField SMPWC = bit(48, "SMPWC");
    private static final BitField RPS = bit(49, "RPS");

    /** Bits of a domain id. */
    final int domainIdBits;
    /** Faults can be logged in memory. */
    final boolean advancedFaultLog;
    /** Software must flush the unit's write buffers. */
    final boolean writeBufferFlush;
    /** The unit has a protected region below 4G. */
    final boolean protectedLowMemory;
    /** The unit has a protected region at any address. */
    final boolean protectedHighMemory;
    /** The unit may cache entries that are not present or faulty. */
    final boolean cachingMode;
    /** Bit n: tables of n + 2 levels. */
    final int sagaw;
    /** The greatest number of levels that SAGAW allows. */
    final int mostLevels;
    /** Bits of the widest address. */
    final int addressWidth;
    /** Offset of the first fault-recording register in bytes. */
    final int faultOffset;
    /** Number of fault-recording registers. */
    final int faultCount;
    /** 2 MiB leaves. */
    final boolean leaves2M;
    /** 1 GiB leaves. */
    final boolean leaves1G;
    /** Page-selective invalidation. */
    final boolean pageSelective;
    /** The largest address mask of a page-selective invalidation. */
    final int maxAddressMask;
    /** Setting the root table pointer invalidates the caches. */
    final boolean rootPointerInvalidates;
    /** Page walks are snooped. */
    final boolean coherent;
    /** Queued invalidation. */
    final boolean queuedInvalidation;
    /** Device TLBs. */
    final boolean deviceTlb;
    /** Interrupt remapping. */
    final boolean interruptRemapping;
    /** Pass-through. */
    final boolean passThrough;
    /** Snoop control. */
    final boolean snoopControl;
    /** Offset of the IOTLB registers in bytes. */
    final int iotlbOffset;
    /** 1 GiB leaves of the first stage. */
    final boolean firstStageLeaves1G;
    /** 5 levels of the first stage. */
    final boolean firstStage5Levels;
    /** First stage over second stage. */
    final boolean nesting;
    /** Page requests. */
    final boolean pageRequests;
    /** Execute requests. */
    final boolean executeRequests;
    /** Supervisor requests. */
    final boolean supervisorRequests;
    /** The extended accessed flag. */
    final boolean extendedAccessed;
    /** Requests with PASID. */
    final boolean pasid;
    /** Scalable mode. */
    final boolean scalable;
    /** Accessed and dirty flags of the second stage. */
    final boolean secondStageFlags;
    /** The second stage in scalable mode. */
    final boolean secondStage;
    /** The first stage. */
    final boolean firstStage;
    /** PWSNP: scalable mode's page walks can be snooped. */
    final boolean pageWalkSnoop;
    /** RID_PASID can be other than 0. */
    final boolean ridPasid;

    VtdCapabilities(long cap, long ecap) {
        domainIdBits = 4 + 2 * (int) ND.get(cap);
        advancedFaultLog = AFL.isSet(cap);
        writeBufferFlush = RWBF.isSet(cap);
        protectedLowMemory = PLMR.isSet(cap);
        protectedHighMemory = PHMR.isSet(cap);
        cachingMode = CM.isSet(cap);
        sagaw = (int) SAGAW.get(cap);
        mostLevels = 33 - Integer.numberOfLeadingZeros(sagaw);
        addressWidth = (int) MGAW.get(cap) + 1;
        faultOffset = (int) FRO.get(cap) * 16;
        faultCount = (int) NFR.get(cap) + 1;
        leaves2M = (SLLPS.get(cap) & 1) != 0;
        leaves1G = (SLLPS.get(cap) & 2) != 0;
        pageSelective = PSI.isSet(cap);
        maxAddressMask = (int) MAMV.get(cap);
        rootPointerInvalidates = ESRTPS.isSet(cap);
        coherent = C.isSet(ecap);
        queuedInvalidation = QI.isSet(ecap);
        deviceTlb = DT.isSet(ecap);
        interruptRemapping = IR.isSet(ecap);
        passThrough = PT.isSet(ecap);
        snoopControl = SC.isSet(ecap);
        iotlbOffset = (int) IRO.get(ecap) * 16;
        firstStageLeaves1G = FL1GP.isSet(cap);
        firstStage5Levels = FL5LP.isSet(cap);
        nesting = NEST.isSet(ecap);
        pageRequests = PRS.isSet(ecap);
        executeRequests = ERS.isSet(ecap);
        supervisorRequests = SRS.isSet(ecap);
        extendedAccessed = EAFS.isSet(ecap);
        pasid = PASID.isSet(ecap);
        scalable = SMTS.isSet(ecap);
        secondStageFlags = SLADS.isSet(ecap);
        secondStage = SLTS.isSet(ecap);
        firstStage = FLTS.isSet(ecap);
        pageWalkSnoop = SMPWC.isSet(ecap);
        ridPasid = RPS.isSet(ecap);
    }

    /** Returns whether the unit walks tables of 3, 4 or 5 levels. */
    boolean hasLevels(int levels) {
        return levels >= 3 && levels <= 5 && ((sagaw >>> (levels - 2)) & 1) != 0;
    }

    /** Returns the bytes of the register window, whole pages. */
    int windowSize() {
        int end = Math.max(
                VtdPageRequestQueue.END,
                Math.max(faultOffset + faultCount * VtdRegisters.FRCD_SIZE, iotlbOffset + VtdRegisters.IOTLB_BLOCK));
        return (end + 4095) & ~4095;
    }
}
