// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.StateDigest;

/** A valid device context. Source: manual, "Device-context fields". */
final class DeviceContext implements ContextCache.Context {
    // tc
    static final BitField V = bit(0, "V");
    static final BitField EN_ATS = bit(1, "EN_ATS");
    static final BitField EN_PRI = bit(2, "EN_PRI");
    static final BitField T2GPA = bit(3, "T2GPA");
    static final BitField DTF = bit(4, "DTF");
    static final BitField PDTV = bit(5, "PDTV");
    static final BitField PRPR = bit(6, "PRPR");
    static final BitField GADE = bit(7, "GADE");
    static final BitField SADE = bit(8, "SADE");
    static final BitField DPE = bit(9, "DPE");
    static final BitField SBE = bit(10, "SBE");
    static final BitField SXL = bit(11, "SXL");

    /** Bits for custom use are ignored. */
    static final long RESERVED_TC = ~(0xfffL | 0xffL << 24);

    // ta
    static final BitField PSCID = bits(31, 12, "PSCID");
    static final BitField RCID = bits(51, 40, "RCID");
    static final BitField MCID = bits(63, 52, "MCID");
    static final long RESERVED_TA = 0xfff | 0xffL << 32;

    // iohgatp, fsc, msiptp
    static final BitField PPN = bits(43, 0, "PPN");
    static final BitField GSCID = bits(59, 44, "GSCID");
    static final BitField MODE = bits(63, 60, "MODE");
    static final long RESERVED_FSC = 0xffffL << 44;

    // Places of the words
    static final int TC = 0;
    static final int IOHGATP = 1;
    static final int TA = 2;
    static final int FSC = 3;
    static final int MSIPTP = 4;
    static final int MSI_MASK = 5;
    static final int MSI_PATTERN = 6;
    static final int RESERVED = 7;

    /** Bytes of the base and of the extended format. */
    static final int BASE_BYTES = 32;

    static final int EXTENDED_BYTES = 64;

    private static final int GSCID_SHIFT = 20;

    /** In tags of first-stage entries: the guest of GSCID, not the host. */
    static final long GUEST = 1L << 62;

    static final long TAGGED = 1L << 63;

    final int device;
    final long tc;
    final long ta;
    final long fsc;
    final int firstMode;
    final int secondMode;
    final long secondRoot;

    /** What second-stage and MSI entries are tagged with. */
    final long guestTag;

    /** What the tags of first-stage entries have above the PSCID. */
    final long firstTag;

    /** What pages are tagged with if all requests have the same first stage and there is no second one, else 0. */
    final long plainTag;

    /** Whether there is an MSI page table, where it is, and which guest pages it serves. */
    final boolean msis;

    final long msiTable;
    final long msiMask;
    final long msiPattern;

    /** Makes a context from the words of a valid and well-formed one. */
    DeviceContext(int device, long[] words, boolean extended) {
        this.device = device;
        tc = words[TC];
        ta = words[TA];
        fsc = words[FSC];
        firstMode = (int) MODE.get(fsc);
        secondMode = (int) MODE.get(words[IOHGATP]);
        secondRoot = PPN.get(words[IOHGATP]) << 12;
        guestTag = TAGGED | GUEST | guest(GSCID.get(words[IOHGATP]));
        firstTag = hasSecondStage() ? guestTag : TAGGED;
        boolean plain = !is(PDTV) && firstMode != Features.MODE_BARE && !hasSecondStage();
        plainTag = plain ? firstTag | PSCID.get(ta) : 0;
        msis = extended && MODE.get(words[MSIPTP]) != 0;
        msiTable = extended ? PPN.get(words[MSIPTP]) << 12 : 0;
        msiMask = extended ? words[MSI_MASK] : 0;
        msiPattern = extended ? words[MSI_PATTERN] : 0;
    }

    /** Returns a GSCID's part of a tag; of -1 the bits that it may have. */
    static long guest(long gscid) {
        return (gscid & GSCID.max()) << GSCID_SHIFT;
    }

    long gscid() {
        return (guestTag >>> GSCID_SHIFT) & 0xffff;
    }

    @Override
    public long key() {
        return device;
    }

    boolean is(BitField control) {
        return control.isSet(tc);
    }

    boolean hasSecondStage() {
        return secondMode != Features.MODE_BARE;
    }

    /** Returns whether a guest page is one of a virtual interrupt file. */
    boolean isInterruptFile(long page) {
        return msis && ((page ^ msiPattern) & ~msiMask) == 0;
    }

    /** Returns whether there is an interrupt file in a range of 2^shift bytes. */
    boolean meetsInterruptFile(long guestPhysical, int shift) {
        long range = -1L << (shift - 12);
        return msis && (((guestPhysical >>> 12) ^ msiPattern) & ~msiMask & range) == 0;
    }

    @Override
    public void addTo(StateDigest digest) {
        digest.add(device);
        digest.add(tc);
        digest.add(ta);
        digest.add(fsc);
        digest.add(secondRoot | secondMode);
        digest.add(guestTag);
        digest.add(msis);
        digest.add(msiTable);
        digest.add(msiMask);
        digest.add(msiPattern);
    }
}
