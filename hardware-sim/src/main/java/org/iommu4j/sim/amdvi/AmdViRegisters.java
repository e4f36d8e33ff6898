// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.iommu4j.bits.Access.NOT_MODELLED;
import static org.iommu4j.bits.Access.READ_ONLY;
import static org.iommu4j.bits.Access.READ_WRITE;
import static org.iommu4j.bits.Access.WRITE_1_TO_CLEAR;
import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import java.util.List;
import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Register;

/**
 * The MMIO registers that the unit has, in the order of their offsets.
 *
 * <p>Source: 48882, chapter 3, which names registers by their MMIO offset. Any other offset reads as 0 and ignores
 * writes.
 */
final class AmdViRegisters {
    /** Device table: number of 4 KiB pages minus 1, and its address. */
    static final BitField DEV_TAB_SIZE = bits(8, 0, "Size");

    static final BitField DEV_TAB_BASE = bits(51, 12, "DevTabBase");
    static final Register DEV_TAB_BAR = Register.of("DevTabBar", 0x0, 64, "48882 MMIO Offset 0000h")
            .field(DEV_TAB_SIZE, READ_WRITE)
            .field(DEV_TAB_BASE, READ_WRITE);

    static final BitField RING_BASE = bits(51, 12, "Base");
    /** Of a ring: log2 of the number of its 16-byte entries, 8 to 15. */
    static final BitField RING_LENGTH = bits(59, 56, "Len");

    static final Register COMMAND_BAR = Register.of("CmdBufBar", 0x8, 64, "48882 MMIO Offset 0008h")
            .field(RING_BASE, READ_WRITE)
            .field(RING_LENGTH, READ_WRITE);
    static final Register EVENT_BAR = Register.of("EventLogBar", 0x10, 64, "48882 MMIO Offset 0010h")
            .field(RING_BASE, READ_WRITE)
            .field(RING_LENGTH, READ_WRITE);

    static final BitField IOMMU_EN = bit(0, "IommuEn");
    static final BitField EVENT_LOG_EN = bit(2, "EventLogEn");
    static final BitField EVENT_INT_EN = bit(3, "EventIntEn");
    static final BitField COM_WAIT_INT_EN = bit(4, "ComWaitIntEn");
    /** Time limit for a device's IOTLB: 0 none, 1 to 6 for 1 ms to 100 s. */
    static final BitField INV_TIME_OUT = bits(7, 5, "InvTimeOut");

    static final BitField COHERENT = bit(10, "Coherent");
    static final BitField CMD_BUF_EN = bit(12, "CmdBufEn");
    static final BitField PPR_LOG_EN = bit(13, "PprLogEn");
    static final BitField PPR_EN = bit(15, "PprEn");
    static final BitField GT_EN = bit(16, "GTEn");
    static final BitField PPR_AUTO_RSP_EN = bit(39, "PprAutoRspEn");
    /** The GCR3 table of a device with host tables is at guest physical addresses. */
    static final BitField GCR3_TRP_MODE = bit(58, "GCR3TRPMode");
    /** The interrupt enables are kept but no messages are sent: software polls the status register. */
    static final Register CONTROL = Register.of("Control", 0x18, 64, "48882 MMIO Offset 0018h")
            .field(IOMMU_EN, READ_WRITE)
            .field(bit(1, "HtTunEn"), READ_WRITE)
            .field(EVENT_LOG_EN, READ_WRITE)
            .field(EVENT_INT_EN, READ_WRITE)
            .field(COM_WAIT_INT_EN, READ_WRITE)
            .field(INV_TIME_OUT, READ_WRITE)
            .field(bit(8, "PassPW"), READ_WRITE)
            .field(bit(9, "ResPassPW"), READ_WRITE)
            .field(COHERENT, READ_WRITE)
            .field(bit(11, "Isoc"), READ_WRITE)
            .field(CMD_BUF_EN, READ_WRITE)
            .field(PPR_LOG_EN, READ_WRITE)
            .field(bit(14, "PprIntEn"), READ_WRITE)
            .field(PPR_EN, READ_WRITE)
            .field(GT_EN, READ_WRITE)
            .field(bit(17, "GAEn"), NOT_MODELLED)
            .field(bits(21, 18, "CRW"), NOT_MODELLED)
            .field(bit(22, "SmiFEn"), NOT_MODELLED)
            .field(bit(23, "SlfWBDis"), NOT_MODELLED)
            .field(bit(24, "SmiFLogEn"), NOT_MODELLED)
            .field(bits(27, 25, "GAMEn"), NOT_MODELLED)
            .field(bit(28, "GALogEn"), NOT_MODELLED)
            .field(bit(29, "GAIntEn"), NOT_MODELLED)
            .field(bits(31, 30, "DualPprLogEn"), NOT_MODELLED)
            .field(bits(33, 32, "DualEventLogEn"), NOT_MODELLED)
            .field(bits(36, 34, "DevTblSegEn"), NOT_MODELLED)
            .field(bits(38, 37, "PrivAbrtEn"), NOT_MODELLED)
            .field(PPR_AUTO_RSP_EN, READ_WRITE)
            .field(bit(40, "MarcEn"), NOT_MODELLED)
            .field(bit(41, "BlkStopMrkEn"), NOT_MODELLED)
            .field(bit(42, "PprAutoRspAon"), NOT_MODELLED)
            .field(bit(43, "DomainIDPNE"), NOT_MODELLED)
            .field(bit(45, "EPHEn"), NOT_MODELLED)
            .field(bits(47, 46, "HADUpdate"), NOT_MODELLED)
            .field(bit(48, "GDUpdateDis"), NOT_MODELLED)
            .field(bit(50, "XTEn"), NOT_MODELLED)
            .field(bit(51, "IntCapXTEn"), NOT_MODELLED)
            .field(bit(52, "vCmdEn"), NOT_MODELLED)
            .field(bit(53, "vIommuEn"), NOT_MODELLED)
            .field(bit(54, "GAUpdateDis"), NOT_MODELLED)
            .field(bit(55, "GAPPIEn"), NOT_MODELLED)
            .field(bit(56, "TMPMEn"), NOT_MODELLED)
            .field(GCR3_TRP_MODE, READ_WRITE)
            .field(bit(59, "IRTCacheDis"), NOT_MODELLED)
            .field(bit(60, "GstBufferTRPMode"), NOT_MODELLED)
            .field(bits(63, 61, "SNPAVICEn"), NOT_MODELLED);

    static final BitField EXCL_EN = bit(0, "ExEn");
    static final BitField EXCL_ALLOW = bit(1, "Allow");
    static final BitField EXCL_BASE = bits(51, 12, "ExclBase");
    static final Register EXCLUSION_BASE = Register.of("ExclBase", 0x20, 64, "48882 MMIO Offset 0020h")
            .field(EXCL_EN, READ_WRITE)
            .field(EXCL_ALLOW, READ_WRITE)
            .field(EXCL_BASE, READ_WRITE);
    static final BitField EXCL_LIMIT = bits(51, 12, "ExclLimit");
    static final Register EXCLUSION_LIMIT =
            Register.of("ExclLimit", 0x28, 64, "48882 MMIO Offset 0028h").field(EXCL_LIMIT, READ_WRITE);

    static final Register EFR =
            Register.of("EFR", 0x30, 64, "48882 MMIO Offset 0030h").field(bits(63, 0, "Features"), READ_ONLY);
    static final Register PPR_BAR = Register.of("PprLogBar", 0x38, 64, "48882 MMIO Offset 0038h")
            .field(RING_BASE, READ_WRITE)
            .field(RING_LENGTH, READ_WRITE);

    /** The last hardware error, in case it could not be logged. */
    static final Register HW_EVENT_UPPER =
            Register.of("HwEventUpper", 0x40, 64, "48882 MMIO Offset 0040h").field(bits(63, 0, "Operand"), READ_WRITE);

    static final Register HW_EVENT_LOWER =
            Register.of("HwEventLower", 0x48, 64, "48882 MMIO Offset 0048h").field(bits(63, 0, "Operand"), READ_WRITE);
    static final BitField HEV = bit(0, "HEV");
    static final BitField HEO = bit(1, "HEO");
    static final Register HW_EVENT_STATUS = Register.of("HwEventStatus", 0x50, 64, "48882 MMIO Offset 0050h")
            .field(HEV, WRITE_1_TO_CLEAR)
            .field(HEO, WRITE_1_TO_CLEAR);

    static final Register EFR2 =
            Register.of("EFR2", 0x1a0, 64, "48882 MMIO Offset 01A0h").field(bits(63, 0, "Features"), READ_ONLY);

    /** Byte offset into a ring. */
    static final BitField RING_POINTER = bits(18, 4, "Ptr");

    static final Register COMMAND_HEAD =
            Register.of("CmdHeadPtr", 0x2000, 64, "48882 MMIO Offset 2000h").field(RING_POINTER, READ_WRITE);
    static final Register COMMAND_TAIL =
            Register.of("CmdTailPtr", 0x2008, 64, "48882 MMIO Offset 2008h").field(RING_POINTER, READ_WRITE);
    static final Register EVENT_HEAD =
            Register.of("EventHeadPtr", 0x2010, 64, "48882 MMIO Offset 2010h").field(RING_POINTER, READ_WRITE);
    static final Register EVENT_TAIL =
            Register.of("EventTailPtr", 0x2018, 64, "48882 MMIO Offset 2018h").field(RING_POINTER, READ_WRITE);

    static final BitField EVENT_OVERFLOW = bit(0, "EventOverflow");
    static final BitField EVENT_LOG_INT = bit(1, "EventLogInt");
    static final BitField COM_WAIT_INT = bit(2, "ComWaitInt");
    static final BitField EVENT_LOG_RUN = bit(3, "EventLogRun");
    static final BitField CMD_BUF_RUN = bit(4, "CmdBufRun");
    static final BitField PPR_OVERFLOW = bit(5, "PprOverflow");
    static final BitField PPR_INT = bit(6, "PprInt");
    static final BitField PPR_LOG_RUN = bit(7, "PprLogRun");
    static final Register STATUS = Register.of("Status", 0x2020, 64, "48882 MMIO Offset 2020h")
            .field(EVENT_OVERFLOW, WRITE_1_TO_CLEAR)
            .field(EVENT_LOG_INT, WRITE_1_TO_CLEAR)
            .field(COM_WAIT_INT, WRITE_1_TO_CLEAR)
            .field(EVENT_LOG_RUN, READ_ONLY)
            .field(CMD_BUF_RUN, READ_ONLY)
            .field(PPR_OVERFLOW, WRITE_1_TO_CLEAR)
            .field(PPR_INT, WRITE_1_TO_CLEAR)
            .field(PPR_LOG_RUN, READ_ONLY)
            .field(bit(8, "GALogRun"), READ_ONLY)
            .field(bit(9, "GALOverflow"), WRITE_1_TO_CLEAR)
            .field(bit(10, "GAInt"), WRITE_1_TO_CLEAR);

    static final Register PPR_HEAD =
            Register.of("PprHeadPtr", 0x2030, 64, "48882 MMIO Offset 2030h").field(RING_POINTER, READ_WRITE);
    static final Register PPR_TAIL =
            Register.of("PprTailPtr", 0x2038, 64, "48882 MMIO Offset 2038h").field(RING_POINTER, READ_WRITE);

    static final BitField PPR_AUTO_CODE = bits(3, 0, "PprAutoRespCode");
    /** The answer to a lost page request. */
    static final Register PPR_AUTO_RESPONSE = Register.of("PprAutoResp", 0x2080, 64, "48882 MMIO Offset 2080h")
            .field(PPR_AUTO_CODE, READ_WRITE)
            .field(bit(4, "PprAutoRespMaskGn"), NOT_MODELLED);

    static final List<Register> ALL = List.of(
            DEV_TAB_BAR,
            COMMAND_BAR,
            EVENT_BAR,
            CONTROL,
            EXCLUSION_BASE,
            EXCLUSION_LIMIT,
            EFR,
            PPR_BAR,
            HW_EVENT_UPPER,
            HW_EVENT_LOWER,
            HW_EVENT_STATUS,
            EFR2,
            COMMAND_HEAD,
            COMMAND_TAIL,
            EVENT_HEAD,
            EVENT_TAIL,
            STATUS,
            PPR_HEAD,
            PPR_TAIL,
            PPR_AUTO_RESPONSE);

    private AmdViRegisters() {}
}
