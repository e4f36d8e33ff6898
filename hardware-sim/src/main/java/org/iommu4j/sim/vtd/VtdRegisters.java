// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.iommu4j.bits.Access.READ_ONLY;
import static org.iommu4j.bits.Access.READ_WRITE;
import static org.iommu4j.bits.Access.WRITE_1_TO_CLEAR;
import static org.iommu4j.bits.Access.WRITE_ONLY;
import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import java.util.List;
import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Register;
import org.jspecify.annotations.Nullable;

/**
 * The unit's registers in the manual's order, with software's access to each field.
 *
 * <p>Source: VT-d 11.4. The fault-recording registers and the IOTLB registers are declared at offsets relative to
 * CAP.FRO and ECAP.IRO; {@link VtdPageRequestQueue} has those of page requests.
 */
final class VtdRegisters {
    static final Register VER = Register.of("VER", 0x00, 32, "VT-d 11.4.1")
            .field(bits(7, 4, "MAX"), READ_ONLY)
            .field(bits(3, 0, "MIN"), READ_ONLY);

    static final Register CAP = Register.of("CAP", 0x08, 64, "VT-d 11.4.2").field(bits(63, 0, "CAP"), READ_ONLY);

    static final Register ECAP = Register.of("ECAP", 0x10, 64, "VT-d 11.4.3").field(bits(63, 0, "ECAP"), READ_ONLY);

    static final BitField TE = bit(31, "TE");
    static final BitField SRTP = bit(30, "SRTP");
    static final BitField SFL = bit(29, "SFL");
    static final BitField EAFL = bit(28, "EAFL");
    static final BitField WBF = bit(27, "WBF");
    static final BitField QIE = bit(26, "QIE");
    static final BitField IRE = bit(25, "IRE");
    static final BitField SIRTP = bit(24, "SIRTP");
    static final BitField CFI = bit(23, "CFI");
    static final Register GCMD = Register.of("GCMD", 0x18, 32, "VT-d 11.4.4.1")
            .field(TE, WRITE_ONLY)
            .field(SRTP, WRITE_ONLY)
            .field(SFL, WRITE_ONLY)
            .field(EAFL, WRITE_ONLY)
            .field(WBF, WRITE_ONLY)
            .field(QIE, WRITE_ONLY)
            .field(IRE, WRITE_ONLY)
            .field(SIRTP, WRITE_ONLY)
            .field(CFI, WRITE_ONLY);

    static final BitField TES = bit(31, "TES");
    static final BitField RTPS = bit(30, "RTPS");
    static final BitField FLS = bit(29, "FLS");
    static final BitField AFLS = bit(28, "AFLS");
    static final BitField WBFS = bit(27, "WBFS");
    static final BitField QIES = bit(26, "QIES");
    static final BitField IRES = bit(25, "IRES");
    static final BitField IRTPS = bit(24, "IRTPS");
    static final BitField CFIS = bit(23, "CFIS");
    static final Register GSTS = Register.of("GSTS", 0x1c, 32, "VT-d 11.4.4.2")
            .field(TES, READ_ONLY)
            .field(RTPS, READ_ONLY)
            .field(FLS, READ_ONLY)
            .field(AFLS, READ_ONLY)
            .field(WBFS, READ_ONLY)
            .field(QIES, READ_ONLY)
            .field(IRES, READ_ONLY)
            .field(IRTPS, READ_ONLY)
            .field(CFIS, READ_ONLY);

    static final BitField RTA = bits(63, 12, "RTA");
    static final BitField TTM = bits(11, 10, "TTM");
    static final Register RTADDR = Register.of("RTADDR", 0x20, 64, "VT-d 11.4.5")
            .field(RTA, READ_WRITE)
            .field(TTM, READ_WRITE);

    static final BitField ICC = bit(63, "ICC");
    static final BitField CIRG = bits(62, 61, "CIRG");
    static final BitField CAIG = bits(60, 59, "CAIG");
    static final BitField CCMD_FM = bits(33, 32, "FM");
    static final BitField CCMD_SID = bits(31, 16, "SID");
    static final BitField CCMD_DID = bits(15, 0, "DID");
    static final Register CCMD = Register.of("CCMD", 0x28, 64, "VT-d 11.4.6.1")
            .field(ICC, READ_WRITE)
            .field(CIRG, READ_WRITE)
            .field(CAIG, READ_ONLY)
            .field(CCMD_FM, WRITE_ONLY)
            .field(CCMD_SID, WRITE_ONLY)
            .field(CCMD_DID, READ_WRITE);

    static final BitField FRI = bits(15, 8, "FRI");
    static final BitField PRO = bit(7, "PRO");
    static final BitField ITE = bit(6, "ITE");
    static final BitField ICE = bit(5, "ICE");
    static final BitField IQE = bit(4, "IQE");
    static final BitField APF = bit(3, "APF");
    static final BitField AFO = bit(2, "AFO");
    static final BitField PPF = bit(1, "PPF");
    static final BitField PFO = bit(0, "PFO");
    static final Register FSTS = Register.of("FSTS", 0x34, 32, "VT-d 11.4.7.1")
            .field(FRI, READ_ONLY)
            .field(PRO, WRITE_1_TO_CLEAR)
            .field(ITE, WRITE_1_TO_CLEAR)
            .field(ICE, WRITE_1_TO_CLEAR)
            .field(IQE, WRITE_1_TO_CLEAR)
            .field(APF, WRITE_1_TO_CLEAR)
            .field(AFO, WRITE_1_TO_CLEAR)
            .field(PPF, READ_ONLY)
            .field(PFO, WRITE_1_TO_CLEAR);

    static final BitField IM = bit(31, "IM");
    static final BitField IP = bit(30, "IP");
    static final Register FECTL = Register.of("FECTL", 0x38, 32, "VT-d 11.4.7.2")
            .field(IM, READ_WRITE)
            .field(IP, READ_ONLY);

    static final Register FEDATA =
            Register.of("FEDATA", 0x3c, 32, "VT-d 11.4.7.3").field(bits(31, 0, "IMD"), READ_WRITE);

    static final Register FEADDR =
            Register.of("FEADDR", 0x40, 32, "VT-d 11.4.7.4").field(bits(31, 2, "MA"), READ_WRITE);

    static final Register FEUADDR =
            Register.of("FEUADDR", 0x44, 32, "VT-d 11.4.7.5").field(bits(31, 0, "MUA"), READ_WRITE);

    static final BitField FLA = bits(63, 12, "FLA");
    /** The log's size, as a power of two pages. The manual's name is FLS, like the bit in GSTS. */
    static final BitField LOG_SIZE = bits(11, 9, "FLS");
    /** Read-only without CAP.AFL, like the next five without CAP.PLMR and CAP.PHMR. */
    static final Register AFLOG = Register.of("AFLOG", 0x58, 64, "VT-d 11.4.7.7")
            .field(FLA, READ_WRITE)
            .field(LOG_SIZE, READ_WRITE);

    static final BitField EPM = bit(31, "EPM");
    static final BitField PRS = bit(0, "PRS");
    static final Register PMEN = Register.of("PMEN", 0x64, 32, "VT-d 11.4.8.1")
            .field(EPM, READ_WRITE)
            .field(PRS, READ_ONLY);

    static final Register PLMBASE =
            Register.of("PLMBASE", 0x68, 32, "VT-d 11.4.8.2").field(bits(31, 20, "PLMB"), READ_WRITE);

    static final Register PLMLIMIT =
            Register.of("PLMLIMIT", 0x6c, 32, "VT-d 11.4.8.3").field(bits(31, 20, "PLML"), READ_WRITE);

    static final Register PHMBASE =
            Register.of("PHMBASE", 0x70, 64, "VT-d 11.4.8.4").field(bits(63, 20, "PHMB"), READ_WRITE);

    static final Register PHMLIMIT =
            Register.of("PHMLIMIT", 0x78, 64, "VT-d 11.4.8.5").field(bits(63, 20, "PHML"), READ_WRITE);

    static final BitField QH = bits(18, 4, "QH");
    static final Register IQH = Register.of("IQH", 0x80, 64, "VT-d 11.4.9.1").field(QH, READ_ONLY);

    static final BitField QT = bits(18, 4, "QT");
    static final Register IQT = Register.of("IQT", 0x88, 64, "VT-d 11.4.9.2").field(QT, READ_WRITE);

    static final BitField IQ_ADDRESS = bits(63, 12, "IQA");
    static final BitField DW = bit(11, "DW");
    static final BitField QS = bits(2, 0, "QS");
    static final Register IQA = Register.of("IQA", 0x90, 64, "VT-d 11.4.9.3")
            .field(IQ_ADDRESS, READ_WRITE)
            .field(DW, READ_WRITE)
            .field(QS, READ_WRITE);

    static final BitField IWC = bit(0, "IWC");
    static final Register ICS = Register.of("ICS", 0x9c, 32, "VT-d 11.4.9.4").field(IWC, WRITE_1_TO_CLEAR);

    static final Register IECTL = Register.of("IECTL", 0xa0, 32, "VT-d 11.4.9.5")
            .field(IM, READ_WRITE)
            .field(IP, READ_ONLY);

    static final Register IEDATA =
            Register.of("IEDATA", 0xa4, 32, "VT-d 11.4.9.6").field(bits(31, 0, "IMD"), READ_WRITE);

    static final Register IEADDR =
            Register.of("IEADDR", 0xa8, 32, "VT-d 11.4.9.7").field(bits(31, 2, "MA"), READ_WRITE);

    static final Register IEUADDR =
            Register.of("IEUADDR", 0xac, 32, "VT-d 11.4.9.8").field(bits(31, 0, "MUA"), READ_WRITE);

    static final BitField IQEI = bits(3, 0, "IQEI");
    static final Register IQERCD =
            Register.of("IQERCD", 0xb0, 64, "VT-d 11.4.9.9").field(IQEI, READ_ONLY);

    static final Register IRTA = Register.of("IRTA", 0xb8, 64, "VT-d 11.4.10")
            .field(bits(63, 12, "IRTA"), READ_WRITE)
            .field(bit(11, "EIME"), READ_WRITE)
            .field(bits(3, 0, "S"), READ_WRITE);

    /** Registers at fixed offsets, in the order of their offsets. */
    static final List<Register> FIXED = List.of(
            VER, CAP, ECAP, GCMD, GSTS, RTADDR, CCMD, FSTS, FECTL, FEDATA, FEADDR, FEUADDR, AFLOG, PMEN, PLMBASE,
            PLMLIMIT, PHMBASE, PHMLIMIT, IQH, IQT, IQA, ICS, IECTL, IEDATA, IEADDR, IEUADDR, IQERCD, IRTA);

    /** Bytes from the first register to the end of the last fixed one. */
    static final int FIXED_END = 0xc0;

    private static final @Nullable Register[] BY_OFFSET = byOffset();

    static final BitField IVA_ADDR = bits(63, 12, "ADDR");
    static final BitField IVA_IH = bit(6, "IH");
    static final BitField IVA_AM = bits(5, 0, "AM");
    /** At ECAP.IRO. */
    static final Register IVA = Register.of("IVA", 0x0, 64, "VT-d 11.4.6.3")
            .field(IVA_ADDR, WRITE_ONLY)
            .field(IVA_IH, WRITE_ONLY)
            .field(IVA_AM, WRITE_ONLY);

    static final BitField IVT = bit(63, "IVT");
    static final BitField IIRG = bits(61, 60, "IIRG");
    static final BitField IAIG = bits(58, 57, "IAIG");
    static final BitField IOTLB_DID = bits(47, 32, "DID");
    /** At ECAP.IRO. */
    static final Register IOTLB = Register.of("IOTLB", 0x8, 64, "VT-d 11.4.6.2")
            .field(IVT, READ_WRITE)
            .field(IIRG, READ_WRITE)
            .field(IAIG, READ_ONLY)
            .field(bit(49, "DR"), READ_WRITE)
            .field(bit(48, "DW"), READ_WRITE)
            .field(IOTLB_DID, READ_WRITE);

    /** Bytes of the block at ECAP.IRO. */
    static final int IOTLB_BLOCK = 16;

    static final BitField FI = bits(63, 12, "FI");
    /** At CAP.FRO. */
    static final Register FRCD_LOW =
            Register.of("FRCD[63:0]", 0x0, 64, "VT-d 11.4.7.6").field(FI, READ_ONLY);

    static final BitField F = bit(63, "F");
    static final BitField T1 = bit(62, "T1");
    static final BitField AT = bits(61, 60, "AT");
    static final BitField PV = bits(59, 40, "PV");
    static final BitField FR = bits(39, 32, "FR");
    static final BitField PP = bit(31, "PP");
    static final BitField T2 = bit(28, "T2");
    static final BitField SID = bits(15, 0, "SID");
    /** At CAP.FRO. */
    static final Register FRCD_HIGH = Register.of("FRCD[127:64]", 0x8, 64, "VT-d 11.4.7.6")
            .field(F, WRITE_1_TO_CLEAR)
            .field(T1, READ_ONLY)
            .field(AT, READ_ONLY)
            .field(PV, READ_ONLY)
            .field(FR, READ_ONLY)
            .field(PP, READ_ONLY)
            .field(bit(30, "EXE"), READ_ONLY)
            .field(bit(29, "PRIV"), READ_ONLY)
            .field(T2, READ_ONLY)
            .field(SID, READ_ONLY);

    /** Bytes of one fault-recording register. */
    static final int FRCD_SIZE = 16;

    private VtdRegisters() {}

    private static @Nullable Register[] byOffset() {
        @Nullable Register[] registers = new @Nullable Register[FIXED_END / 4];
        for (Register register : FIXED) {
            registers[register.offset() / 4] = register;
        }
        return registers;
    }

    /** Returns the register that starts at an offset below {@link #FIXED_END}, or null. */
    static @Nullable Register fixedAt(int offset) {
        return BY_OFFSET[offset >>> 2];
    }

    /**
     * Returns whether a register belongs to the invalidation queue or its event: reserved without ECAP.QI, which IR and
     * EIM need.
     */
    static boolean isOfQueue(Register register) {
        return register.offset() >= IQH.offset() && register.offset() <= IQERCD.offset();
    }

    /** Returns a register's value after a write, commands included, before the unit acts on it. */
    static long stored(Register register, long current, long written) {
        long kept = register.mask(WRITE_ONLY);
        return register.afterWrite(current, written) | (written & kept);
    }

    /** Returns the part of a register's value that software can read. */
    static long readable(Register register, long kept) {
        return kept & ~register.mask(WRITE_ONLY);
    }
}
