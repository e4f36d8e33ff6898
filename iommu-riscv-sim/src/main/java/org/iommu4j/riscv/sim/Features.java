// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Hex;
import org.iommu4j.sim.spi.InvalidationTags;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/**
 * What a unit can do: the register {@code capabilities}, and what the manual leaves to the implementation.
 *
 * <p>Source: manual, "IOMMU capabilities".
 */
final class Features {
    /** The name of the register in a unit's specification. */
    static final String REGISTER = "capabilities";

    private static final BitField VERSION = bits(7, 0, "version");
    private static final BitField SV32 = bit(8, "Sv32");
    private static final BitField SV39 = bit(9, "Sv39");
    private static final BitField SVRSW60T59B = bit(14, "Svrsw60t59b");
    private static final BitField SVPBMT = bit(15, "Svpbmt");
    private static final BitField SV32X4 = bit(16, "Sv32x4");
    private static final BitField SV39X4 = bit(17, "Sv39x4");
    private static final BitField SV48X4 = bit(18, "Sv48x4");
    private static final BitField SV57X4 = bit(19, "Sv57x4");
    private static final BitField MSI_FLAT = bit(22, "MSI_FLAT");
    private static final BitField MSI_MRIF = bit(23, "MSI_MRIF");
    private static final BitField AMO_HWAD = bit(24, "AMO_HWAD");
    static final BitField ATS = bit(25, "ATS");
    private static final BitField T2GPA = bit(26, "T2GPA");
    private static final BitField END = bit(27, "END");
    private static final BitField IGS = bits(29, 28, "IGS");
    private static final BitField HPM = bit(30, "HPM");
    private static final BitField DBG = bit(31, "DBG");
    private static final BitField PAS = bits(37, 32, "PAS");
    private static final BitField PD8 = bit(38, "PD8");
    private static final BitField PD17 = bit(39, "PD17");
    private static final BitField PD20 = bit(40, "PD20");
    private static final BitField QOSID = bit(41, "QOSID");
    private static final BitField NL = bit(42, "NL");
    private static final BitField S = bit(43, "S");

    /** Values of IGS; 0 is messages alone. */
    private static final long IGS_WSI = 1;

    private static final long IGS_BOTH = 2;

    // fctl
    static final BitField BE = bit(0, "BE");
    static final BitField WSI = bit(1, "WSI");

    private static final BitField PPN = bits(53, 10, "PPN");

    /** What this unit does not have, though the manual does. */
    static final long NOT_MODELLED = SV32.mask() | SV32X4.mask() | HPM.mask();

    /** Not a register: a choice of the unit that no register tells. */
    private static final String TAGS = "itags";

    /** Modes of page tables: 8, 9 and 10 have 3, 4 and 5 levels, in both stages. */
    static final int MODE_BARE = 0;

    private static final int MODE_SV39 = 8;
    private static final int MODE_SV57 = 10;

    final long capabilities;

    /** The value of {@code fctl} after a reset, and the bits of it that can be written. */
    final long controlAtReset;

    final long writableControls;

    /** The bits of {@code icvec} and of {@code iommu_qosid} that exist. */
    final long vectorBits;

    final long qosIdBits;

    /** How many invalidation requests to devices are outstanding at most. */
    final int invalidationTags;

    final boolean ats;
    final boolean t2gpa;
    final boolean msiFlat;
    final boolean msiMrif;
    final boolean atomicUpdates;
    final boolean bothEndians;
    final boolean messages;
    final boolean debug;
    final boolean qosIds;
    final boolean nonLeafInvalidation;
    final boolean rangeInvalidation;
    final boolean pbmt;

    /** Bits of a PTE that must be 0. */
    final long reservedPteBits;

    final int physicalBits;

    /** The bits that a page number has in a register. */
    final long ppnBits;

    /** The width of the process ids that IODIR.INVAL_PDT takes. */
    final int processIdBits;

    /** The bits of MSI address masks and patterns that must be 0. */
    final long reservedMsiPageBits;

    /**
     * Reads a unit's registers.
     *
     * @throws IllegalArgumentException when {@code capabilities} is missing, or is not a unit's, or says what is not
     *     modelled
     */
    Features(TranslationUnitSpec spec) {
        capabilities = spec.register(REGISTER);
        check(spec.name());
        ats = ATS.isSet(capabilities);
        t2gpa = T2GPA.isSet(capabilities);
        msiFlat = MSI_FLAT.isSet(capabilities);
        msiMrif = MSI_MRIF.isSet(capabilities);
        atomicUpdates = AMO_HWAD.isSet(capabilities);
        bothEndians = END.isSet(capabilities);
        debug = DBG.isSet(capabilities);
        qosIds = QOSID.isSet(capabilities);
        nonLeafInvalidation = NL.isSet(capabilities);
        rangeInvalidation = S.isSet(capabilities);
        pbmt = SVPBMT.isSet(capabilities);
        long signals = IGS.get(capabilities);
        messages = signals != IGS_WSI;
        writableControls = (bothEndians ? BE.mask() : 0) | (signals == IGS_BOTH ? WSI.mask() : 0);
        controlAtReset = spec.registers().getOrDefault("fctl", signals == IGS_WSI ? WSI.mask() : 0L);
        if ((controlAtReset & ~(BE.mask() | WSI.mask())) != 0) {
            throw new IllegalArgumentException(
                    "fctl of unit " + spec.name() + " is " + Hex.of(controlAtReset) + ", expected BE and WSI alone");
        }
        vectorBits = spec.registers().getOrDefault("icvec", 0xffffL) & 0xf0ff; // no pmiv without counters
        qosIdBits = qosIds ? spec.registers().getOrDefault("iommu_qosid", 0x0fff0fffL) & 0x0fff0fff : 0;
        invalidationTags = (int) (long) spec.registers().getOrDefault(TAGS, (long) InvalidationTags.MOST);
        reservedPteBits = 0x1fL << 54 | (pbmt ? 0 : 3L << 61) | (SVRSW60T59B.isSet(capabilities) ? 0 : 3L << 59);
        physicalBits = (int) PAS.get(capabilities);
        ppnBits = PPN.mask() & ((1L << (physicalBits - 2)) - 1);
        processIdBits = PD20.isSet(capabilities) ? 20 : PD17.isSet(capabilities) ? 17 : PD8.isSet(capabilities) ? 8 : 0;
        int widest = SV57X4.isSet(capabilities)
                ? 59
                : SV48X4.isSet(capabilities) ? 50 : SV39X4.isSet(capabilities) ? 41 : physicalBits;
        reservedMsiPageBits = -1L << (widest - 12);
    }

    /** Returns whether a value can be a unit's. */
    static boolean isUnit(long capabilities) {
        return VERSION.get(capabilities) == 0x10
                && IGS.get(capabilities) <= IGS_BOTH
                && PAS.get(capabilities) >= 12
                && PAS.get(capabilities) <= 56;
    }

    private void check(String unit) {
        if (!isUnit(capabilities) || (capabilities & NOT_MODELLED) != 0) {
            throw new IllegalArgumentException("capabilities of unit " + unit + " are " + Hex.of(capabilities)
                    + ", expected version 1.0, some IGS, PAS from 12 to 56, and no Sv32, Sv32x4 or HPM");
        }
    }

    /** Returns whether first-stage tables may have this mode. */
    boolean hasFirstStage(int mode) {
        return mode == MODE_BARE || has(mode, SV39);
    }

    /** Returns whether second-stage tables may have this mode. */
    boolean hasSecondStage(int mode) {
        return mode == MODE_BARE || has(mode, SV39X4);
    }

    /** Returns whether the process directory may have this mode: 0 for none, or the number of its levels. */
    boolean hasProcessDirectory(int mode) {
        return switch (mode) {
            case 0 -> true;
            case 1 -> PD8.isSet(capabilities);
            case 2 -> PD17.isSet(capabilities);
            case 3 -> PD20.isSet(capabilities);
            default -> false;
        };
    }

    /** The bits of the three modes lie side by side. */
    private boolean has(int mode, BitField smallest) {
        return mode >= MODE_SV39
                && mode <= MODE_SV57
                && ((capabilities >>> (smallest.low() + mode - MODE_SV39)) & 1) != 0;
    }

    /** Returns the number of levels of page tables with a mode. */
    static int levels(int mode) {
        return mode - MODE_SV39 + 3;
    }
}
