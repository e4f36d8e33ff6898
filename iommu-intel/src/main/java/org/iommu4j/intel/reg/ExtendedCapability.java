// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.reg;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * ECAP, the extended capability register, VT-d 11.4.3.
 *
 * @param value the 64 bits read
 */
public record ExtendedCapability(long value) {
    static final BitField C = bit(0, "C");
    static final BitField QI = bit(1, "QI");
    static final BitField DT = bit(2, "DT");
    static final BitField IR = bit(3, "IR");
    static final BitField EIM = bit(4, "EIM");
    static final BitField PT = bit(6, "PT");
    static final BitField SC = bit(7, "SC");
    static final BitField IRO = bits(17, 8, "IRO");
    static final BitField MHMV = bits(23, 20, "MHMV");
    static final BitField MTS = bit(25, "MTS");
    static final BitField NEST = bit(26, "NEST");
    static final BitField DIS = bit(27, "DIS");
    static final BitField PRS = bit(29, "PRS");
    static final BitField ERS = bit(30, "ERS");
    static final BitField SRS = bit(31, "SRS");
    static final BitField NWFS = bit(33, "NWFS");
    static final BitField EAFS = bit(34, "EAFS");
    static final BitField PSS = bits(39, 35, "PSS");
    static final BitField PASID = bit(40, "PASID");
    static final BitField DIT = bit(41, "DIT");
    static final BitField PDS = bit(42, "PDS");
    static final BitField SMTS = bit(43, "SMTS");
    static final BitField VCS = bit(44, "VCS");
    static final BitField SLADS = bit(45, "SLADS");
    static final BitField SLTS = bit(46, "SLTS");
    static final BitField FLTS = bit(47, "FLTS");
    static final BitField SMPWC = bit(48, "SMPWC");
    static final BitField RPS = bit(49, "RPS");
    static final BitField PMS = bit(51, "PMS");
    static final BitField ABPS = bit(52, "ABPS");
    static final BitField RPRIVS = bit(53, "RPRIVS");

    /** The fields, lowest first. */
    public static final Layout LAYOUT = Layout.of(
            "ECAP, VT-d 11.4.3",
            C,
            QI,
            DT,
            IR,
            EIM,
            PT,
            SC,
            IRO,
            MHMV,
            MTS,
            NEST,
            DIS,
            PRS,
            ERS,
            SRS,
            NWFS,
            EAFS,
            PSS,
            PASID,
            DIT,
            PDS,
            SMTS,
            VCS,
            SLADS,
            SLTS,
            FLTS,
            SMPWC,
            RPS,
            PMS,
            ABPS,
            RPRIVS);

    /**
     * Returns whether root, context and PASID tables, and legacy mode's page tables, are walked through the CPU caches.
     */
    public boolean coherentWalk() {
        return C.isSet(value);
    }

    /** Returns whether there is an invalidation queue. */
    public boolean queuedInvalidation() {
        return QI.isSet(value);
    }

    /** Returns whether interrupts can be remapped. */
    public boolean interruptRemapping() {
        return IR.isSet(value);
    }

    /** Returns whether supervisor requests can be translated by a first stage. */
    public boolean supervisorRequests() {
        return SRS.isSet(value);
    }

    /** Returns whether the extended accessed flag can be set in entries of a first stage. */
    public boolean extendedAccessed() {
        return EAFS.isSet(value);
    }

    /** Returns whether a context entry may pass requests through. */
    public boolean passThrough() {
        return PT.isSet(value);
    }

    /** Returns whether the snoop bit of second-stage entries works: no-snoop can be blocked. */
    public boolean snoopControl() {
        return SC.isSet(value);
    }

    /** Returns whether devices may have their own TLBs. */
    public boolean deviceTlbs() {
        return DT.isSet(value);
    }

    /** Returns whether device-TLB invalidations are throttled by the physical function's source id. */
    public boolean throttlesDeviceTlbs() {
        return DIT.isSet(value);
    }

    /** Returns whether the unit supports scalable mode. */
    public boolean scalableMode() {
        return SMTS.isSet(value);
    }

    /** Returns whether scalable mode has first-stage translation. */
    public boolean firstStage() {
        return FLTS.isSet(value);
    }

    /** Returns whether scalable mode has second-stage translation. */
    public boolean secondStage() {
        return SLTS.isSet(value);
    }

    /** Returns whether scalable mode has nested translation. */
    public boolean nested() {
        return NEST.isSet(value);
    }

    /** Returns whether second-stage entries keep access and dirty bits in scalable mode. */
    public boolean secondStageDirty() {
        return SLADS.isSet(value);
    }

    /** Returns whether tables of PASID entries are walked through the CPU caches, where PWSNP is set. */
    public boolean scalableCoherentWalk() {
        return SMPWC.isSet(value);
    }

    /** Returns whether requests with PASID are translated. */
    public boolean pasids() {
        return PASID.isSet(value);
    }

    /** Returns whether devices may ask for pages. */
    public boolean pageRequests() {
        return PRS.isSet(value);
    }

    /** Returns the number of PASID bits that the unit accepts, 1 to 20. */
    public int pasidBits() {
        return Math.min((int) PSS.get(value) + 1, 20);
    }

    /** Returns the offset in bytes of IVA; IOTLB is 8 bytes further. */
    public int iotlbOffset() {
        return (int) IRO.get(value) * 16;
    }
}
