// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.reg;

import static org.iommu4j.bits.Access.NOT_MODELLED;
import static org.iommu4j.bits.Access.READ_ONLY;
import static org.iommu4j.bits.Access.READ_WRITE;
import static org.iommu4j.bits.Access.WRITE_1_TO_CLEAR;
import static org.iommu4j.bits.Access.WRITE_ONLY;
import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Register;

/** The registers at fixed offsets, in the order of VT-d 11.4; fields lowest first. */
public final class DmarRegisters {
    /** Bytes that are mapped first; CAP and ECAP hold whether a unit needs more. */
    public static final int MINIMUM_SIZE = 4096;

    // VER, 11.4.1
    static final BitField MIN = bits(3, 0, "MIN");
    static final BitField MAX = bits(7, 4, "MAX");

    /** Version. */
    public static final Register VER =
            Register.of("VER", 0x00, 32, "VT-d 11.4.1").field(MIN, READ_ONLY).field(MAX, READ_ONLY);

    /** Offset of CAP, decoded by {@link Capability}. */
    public static final int CAP = 0x08;

    /** Offset of ECAP, decoded by {@link ExtendedCapability}. */
    public static final int ECAP = 0x10;

    // GCMD, 11.4.4
    /** Compatibility format interrupts. */
    public static final BitField CFI = bit(23, "CFI");
    /** Set interrupt remap table pointer. */
    public static final BitField SIRTP = bit(24, "SIRTP");
    /** Interrupt remapping enable. */
    public static final BitField IRE = bit(25, "IRE");
    /** Queued invalidation enable. */
    public static final BitField QIE = bit(26, "QIE");
    /** Write buffer flush. */
    public static final BitField WBF = bit(27, "WBF");
    /** Enable advanced fault logging. */
    public static final BitField EAFL = bit(28, "EAFL");
    /** Set fault log. */
    public static final BitField SFL = bit(29, "SFL");
    /** Set root table pointer. */
    public static final BitField SRTP = bit(30, "SRTP");
    /** Translation enable. */
    public static final BitField TE = bit(31, "TE");

    /** Global command. One command at a time, each confirmed by the bit of the same number in GSTS. */
    public static final Register GCMD = Register.of("GCMD", 0x18, 32, "VT-d 11.4.4")
            .field(CFI, WRITE_ONLY)
            .field(SIRTP, WRITE_ONLY)
            .field(IRE, WRITE_ONLY)
            .field(QIE, WRITE_ONLY)
            .field(WBF, WRITE_ONLY)
            .field(EAFL, WRITE_ONLY)
            .field(SFL, NOT_MODELLED)
            .field(SRTP, WRITE_ONLY)
            .field(TE, WRITE_ONLY);

    // GSTS, 11.4.5
    static final BitField CFIS = bit(23, "CFIS");
    static final BitField IRTPS = bit(24, "IRTPS");
    static final BitField IRES = bit(25, "IRES");
    static final BitField QIES = bit(26, "QIES");
    static final BitField WBFS = bit(27, "WBFS");
    static final BitField AFLS = bit(28, "AFLS");
    static final BitField FLS = bit(29, "FLS");
    static final BitField RTPS = bit(30, "RTPS");
    static final BitField TES = bit(31, "TES");

    /** Global status. */
    public static final Register GSTS = Register.of("GSTS", 0x1c, 32, "VT-d 11.4.5")
            .field(CFIS, READ_ONLY)
            .field(IRTPS, READ_ONLY)
            .field(IRES, READ_ONLY)
            .field(QIES, READ_ONLY)
            .field(WBFS, READ_ONLY)
            .field(AFLS, READ_ONLY)
            .field(FLS, READ_ONLY)
            .field(RTPS, READ_ONLY)
            .field(TES, READ_ONLY);

    // RTADDR, 11.4.6
    /** Translation table mode: 0 is legacy, 1 is scalable. */
    public static final BitField TTM = bits(11, 10, "TTM");
    /** Root table address, in place. */
    public static final BitField RTA = bits(63, 12, "RTA");

    /** Root table address. */
    public static final Register RTADDR = Register.of("RTADDR", 0x20, 64, "VT-d 11.4.6")
            .field(TTM, READ_WRITE)
            .field(RTA, READ_WRITE);

    // CCMD, 11.4.7
    /** Domain id. */
    public static final BitField CCMD_DID = bits(15, 0, "DID");
    /** Source id. */
    public static final BitField CCMD_SID = bits(31, 16, "SID");
    /** Function mask. */
    public static final BitField CCMD_FM = bits(33, 32, "FM");
    /** Granularity that was performed; 0 when the hardware did nothing. */
    public static final BitField CAIG = bits(60, 59, "CAIG");
    /** Granularity that is requested. */
    public static final BitField CIRG = bits(62, 61, "CIRG");
    /** Invalidate context cache; reads 1 until done. */
    public static final BitField ICC = bit(63, "ICC");

    /** Context command: invalidation without a queue. */
    public static final Register CCMD = Register.of("CCMD", 0x28, 64, "VT-d 11.4.7")
            .field(CCMD_DID, READ_WRITE)
            .field(CCMD_SID, READ_WRITE)
            .field(CCMD_FM, READ_WRITE)
            .field(CAIG, READ_ONLY)
            .field(CIRG, READ_WRITE)
            .field(ICC, READ_WRITE);

    // IVA, 11.4.8.2, at ECAP.IRO
    /** Address mask: 2^mask pages. */
    public static final BitField IVA_AM = bits(5, 0, "AM");
    /** Invalidation hint: only leaves changed. */
    public static final BitField IVA_IH = bit(6, "IH");
    /** Address of the first page, in place. */
    public static final BitField IVA_ADDR = bits(63, 12, "ADDR");

    // IOTLB, 11.4.8.1, 8 bytes after IVA
    /** Domain id. */
    public static final BitField IOTLB_DID = bits(47, 32, "DID");
    /** Drain writes. */
    public static final BitField IOTLB_DW = bit(48, "DW");
    /** Drain reads. */
    public static final BitField IOTLB_DR = bit(49, "DR");
    /** Granularity that was performed; 0 when the hardware did nothing. */
    public static final BitField IAIG = bits(58, 57, "IAIG");
    /** Granularity that is requested. */
    public static final BitField IIRG = bits(61, 60, "IIRG");
    /** Invalidate IOTLB; reads 1 until done. */
    public static final BitField IVT = bit(63, "IVT");

    // FSTS, 11.4.9
    /** Primary fault overflow: faults were lost. */
    public static final BitField PFO = bit(0, "PFO");
    /** Primary pending fault: some fault record has its F bit set. */
    public static final BitField PPF = bit(1, "PPF");

    /** Advanced fault overflow: the log in memory was full. */
    static final BitField AFO = bit(2, "AFO");
    /** Advanced pending fault: there is a record in the log in memory. */
    static final BitField APF = bit(3, "APF");
    /** Invalidation queue error: a descriptor is invalid and the queue has stopped. */
    public static final BitField IQE = bit(4, "IQE");
    /** Invalidation completion error. */
    public static final BitField ICE = bit(5, "ICE");
    /** Invalidation time-out error of a device TLB. */
    public static final BitField ITE = bit(6, "ITE");

    static final BitField PRO = bit(7, "PRO");
    /** Index of the first record with a pending fault. */
    public static final BitField FRI = bits(15, 8, "FRI");

    /** Fault status. */
    public static final Register FSTS = Register.of("FSTS", 0x34, 32, "VT-d 11.4.9")
            .field(PFO, WRITE_1_TO_CLEAR)
            .field(PPF, READ_ONLY)
            .field(AFO, WRITE_1_TO_CLEAR)
            .field(APF, WRITE_1_TO_CLEAR)
            .field(IQE, WRITE_1_TO_CLEAR)
            .field(ICE, WRITE_1_TO_CLEAR)
            .field(ITE, WRITE_1_TO_CLEAR)
            .field(PRO, NOT_MODELLED)
            .field(FRI, READ_ONLY);

    // FECTL, 11.4.10
    static final BitField IP = bit(30, "IP");
    /** Interrupt mask. */
    public static final BitField IM = bit(31, "IM");

    /** Fault event control. */
    public static final Register FECTL =
            Register.of("FECTL", 0x38, 32, "VT-d 11.4.10").field(IP, READ_ONLY).field(IM, READ_WRITE);

    // AFLOG, 11.4.15
    /** Size of the log in memory: 2 to its power pages. */
    public static final BitField LOG_SIZE = bits(11, 9, "FLS");
    /** Address of the log in memory, in place. */
    public static final BitField FLA = bits(63, 12, "FLA");

    /** Advanced fault log; Linux never turns it on, so the driver only reports one that firmware left. */
    public static final Register AFLOG = Register.of("AFLOG", 0x58, 64, "VT-d 11.4.15")
            .field(LOG_SIZE, READ_WRITE)
            .field(FLA, READ_WRITE);

    // PMEN, 11.4.16
    /** Protected region status: follows EPM. */
    public static final BitField PRS = bit(0, "PRS");
    /** Enable protected memory. */
    public static final BitField EPM = bit(31, "EPM");

    /** Protected memory enable, left on by some firmware. */
    public static final Register PMEN =
            Register.of("PMEN", 0x64, 32, "VT-d 11.4.16").field(PRS, READ_ONLY).field(EPM, READ_WRITE);

    // IQH, IQT, IQA, 11.4.21 to 11.4.23
    static final BitField QH = bits(18, 4, "QH");
    /** Queue tail in units of 16 bytes. */
    public static final BitField QT = bits(18, 4, "QT");
    /** Queue size: 2 to its power pages. */
    public static final BitField QS = bits(2, 0, "QS");
    /** Descriptor width: 0 is 128 bits, 1 is 256. */
    public static final BitField IQA_DW = bit(11, "DW");
    /** Queue base, in place. */
    public static final BitField IQA_BASE = bits(63, 12, "IQA");

    /** Invalidation queue head: the next descriptor that hardware takes. */
    public static final Register IQH =
            Register.of("IQH", 0x80, 64, "VT-d 11.4.21").field(QH, READ_ONLY);

    /** Invalidation queue tail: the next descriptor that software writes. */
    public static final Register IQT =
            Register.of("IQT", 0x88, 64, "VT-d 11.4.22").field(QT, READ_WRITE);

    /** Invalidation queue address. */
    public static final Register IQA = Register.of("IQA", 0x90, 64, "VT-d 11.4.23")
            .field(QS, READ_WRITE)
            .field(IQA_DW, READ_WRITE)
            .field(IQA_BASE, READ_WRITE);

    // PQH, PQT, PQA, PRS, PECTL, 11.4.11
    /** Page request queue pointer in bytes, in place. */
    public static final BitField PQ_POINTER = bits(18, 5, "PTR");
    /** Page request queue size: 2 to its power pages. */
    public static final BitField PQS = bits(2, 0, "PQS");
    /** Page request queue base, in place. */
    public static final BitField PQ_BASE = bits(63, 12, "PQA");
    /** A page request was queued. */
    public static final BitField PPR = bit(0, "PPR");
    /** The page request queue was full, and takes no more requests. */
    public static final BitField PR_OVERFLOW = bit(1, "PRO");

    /** Page request queue head: the next entry that software takes. */
    public static final Register PQH =
            Register.of("PQH", 0xc0, 64, "VT-d 11.4.11.1").field(PQ_POINTER, READ_WRITE);

    /** Page request queue tail: the next entry that hardware writes. */
    public static final Register PQT =
            Register.of("PQT", 0xc8, 64, "VT-d 11.4.11.2").field(PQ_POINTER, READ_WRITE);

    /** Page request queue address. */
    public static final Register PQA = Register.of("PQA", 0xd0, 64, "VT-d 11.4.11.3")
            .field(PQS, READ_WRITE)
            .field(PQ_BASE, READ_WRITE);

    /** Page request status. */
    public static final Register PR_STATUS = Register.of("PRS", 0xdc, 32, "VT-d 11.4.11.4")
            .field(PPR, WRITE_1_TO_CLEAR)
            .field(PR_OVERFLOW, WRITE_1_TO_CLEAR);

    /** Page request event control. */
    public static final Register PECTL = Register.of("PECTL", 0xe0, 32, "VT-d 11.4.11.5")
            .field(IP, READ_ONLY)
            .field(IM, READ_WRITE);

    private DmarRegisters() {}
}
