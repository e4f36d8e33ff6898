// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.reg;

import static org.iommu4j.bits.Access.READ_ONLY;
import static org.iommu4j.bits.Access.READ_WRITE;
import static org.iommu4j.bits.Access.WRITE_1_TO_CLEAR;
import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Register;

/** A unit's MMIO registers as far as the driver uses them, 48882 section 3.4. */
public final class Registers {
    /** Bytes that are mapped; the performance counters after them are not. */
    public static final int WINDOW_SIZE = 0x4000;

    /** Base address of a table or queue. */
    public static final BitField BASE = bits(51, 12, "Base");
    /** Device table: frames less 1. */
    public static final BitField DEV_TAB_SIZE = bits(8, 0, "Size");
    /** Queues: log2 of the entries. */
    public static final BitField LENGTH = bits(59, 56, "Length");
    /** Queues: byte offset of an entry, in units of 16. */
    public static final BitField POINTER = bits(18, 4, "Ptr");

    /** Translation on. */
    public static final BitField IOMMU_EN = bit(0, "IommuEn");
    /** HyperTransport tunnel. */
    public static final BitField HT_TUN_EN = bit(1, "HtTunEn");
    /** Event log on. */
    public static final BitField EVENT_LOG_EN = bit(2, "EventLogEn");
    /** Event interrupt. */
    public static final BitField EVENT_INT_EN = bit(3, "EventIntEn");
    /** Completion wait interrupt. */
    public static final BitField COM_WAIT_INT_EN = bit(4, "ComWaitIntEn");
    /** Time limit for a device to confirm an invalidation. */
    public static final BitField INV_TIMEOUT = bits(7, 5, "InvTimeOut");
    /** Pass posted writes. */
    public static final BitField PASS_PW = bit(8, "PassPW");
    /** Responses pass posted writes. */
    public static final BitField RES_PASS_PW = bit(9, "ResPassPW");
    /** The unit's own accesses snoop the caches. */
    public static final BitField COHERENT = bit(10, "Coherent");
    /** Isochronous. */
    public static final BitField ISOC = bit(11, "Isoc");
    /** Command buffer on. */
    public static final BitField CMD_BUF_EN = bit(12, "CmdBufEn");

    /** Page request log on. */
    public static final BitField PPR_LOG_EN = bit(13, "PprLogEn");
    /** Page request interrupt. */
    public static final BitField PPR_INT_EN = bit(14, "PprIntEn");
    /** Page requests. */
    public static final BitField PPR_EN = bit(15, "PprEn");
    /** Guest tables. */
    public static final BitField GT_EN = bit(16, "GTEn");
    /** Guest virtual APIC log on. */
    public static final BitField GA_LOG_EN = bit(28, "GALogEn");
    /** Guest virtual APIC interrupt. */
    public static final BitField GA_INT_EN = bit(29, "GAIntEn");
    /** The unit answers page requests when the log is full. */
    public static final BitField PPR_AUTO_RSP_EN = bit(39, "PprAutoRspEn");
    /** PPR of a device table entry has an effect. */
    public static final BitField EPH_EN = bit(45, "EPHEn");
    /** The GCR3 table of a device with host tables below is at guest physical addresses. */
    public static final BitField GCR3_TRP_MODE = bit(58, "GCR3TRPMode");

    /** Interrupt tables are not cached. */
    public static final BitField IRT_CACHE_DIS = bit(59, "IRTCacheDis");

    /** The log is full and events were lost. */
    public static final BitField EVENT_OVERFLOW = bit(0, "EventOverflow");
    /** An event is pending. */
    public static final BitField EVENT_LOG_INT = bit(1, "EventLogInt");
    /** A completion wait interrupted. */
    public static final BitField COM_WAIT_INT = bit(2, "ComWaitInt");
    /** The log runs. */
    public static final BitField EVENT_LOG_RUN = bit(3, "EventLogRun");
    /** The command buffer runs. */
    public static final BitField CMD_BUF_RUN = bit(4, "CmdBufRun");

    /** The page request log is full and requests were lost. */
    public static final BitField PPR_OVERFLOW = bit(5, "PprOverflow");
    /** A page request is pending. */
    public static final BitField PPR_INT = bit(6, "PprInt");
    /** The page request log runs. */
    public static final BitField PPR_LOG_RUN = bit(7, "PprLogRun");

    /** Device table base, section 3.4.1. */
    public static final Register DEV_TAB_BAR = Register.of("DevTabBar", 0x0000, 64, "48882 3.4.1")
            .field(DEV_TAB_SIZE, READ_WRITE)
            .field(BASE, READ_WRITE);
    /** Command buffer base, section 3.4.2. */
    public static final Register CMD_BUF_BAR = Register.of("ComBar", 0x0008, 64, "48882 3.4.2")
            .field(BASE, READ_WRITE)
            .field(LENGTH, READ_WRITE);
    /** Event log base, section 3.4.3. */
    public static final Register EVENT_LOG_BAR = Register.of("EventLogBar", 0x0010, 64, "48882 3.4.3")
            .field(BASE, READ_WRITE)
            .field(LENGTH, READ_WRITE);
    /** Control, section 3.4.4. */
    public static final Register CONTROL = Register.of("Control", 0x0018, 64, "48882 3.4.4")
            .field(IOMMU_EN, READ_WRITE)
            .field(HT_TUN_EN, READ_WRITE)
            .field(EVENT_LOG_EN, READ_WRITE)
            .field(EVENT_INT_EN, READ_WRITE)
            .field(COM_WAIT_INT_EN, READ_WRITE)
            .field(INV_TIMEOUT, READ_WRITE)
            .field(PASS_PW, READ_WRITE)
            .field(RES_PASS_PW, READ_WRITE)
            .field(COHERENT, READ_WRITE)
            .field(ISOC, READ_WRITE)
            .field(CMD_BUF_EN, READ_WRITE)
            .field(PPR_LOG_EN, READ_WRITE)
            .field(PPR_INT_EN, READ_WRITE)
            .field(PPR_EN, READ_WRITE)
            .field(GT_EN, READ_WRITE)
            .field(GA_LOG_EN, READ_WRITE)
            .field(GA_INT_EN, READ_WRITE)
            .field(PPR_AUTO_RSP_EN, READ_WRITE)
            .field(EPH_EN, READ_WRITE)
            .field(GCR3_TRP_MODE, READ_WRITE)
            .field(IRT_CACHE_DIS, READ_WRITE);
    /** Page request log base. */
    public static final Register PPR_LOG_BAR = Register.of("PprLogBar", 0x0038, 64, "48882 MMIO Offset 0038h")
            .field(BASE, READ_WRITE)
            .field(LENGTH, READ_WRITE);
    /** Command buffer head, section 3.4.14. */
    public static final Register CMD_BUF_HEAD =
            Register.of("ComHead", 0x2000, 64, "48882 3.4.14").field(POINTER, READ_WRITE);
    /** Command buffer tail, section 3.4.14. */
    public static final Register CMD_BUF_TAIL =
            Register.of("ComTail", 0x2008, 64, "48882 3.4.14").field(POINTER, READ_WRITE);
    /** Event log head, section 3.4.14. */
    public static final Register EVENT_LOG_HEAD =
            Register.of("EventLogHead", 0x2010, 64, "48882 3.4.14").field(POINTER, READ_WRITE);
    /** Event log tail, section 3.4.14. */
    public static final Register EVENT_LOG_TAIL =
            Register.of("EventLogTail", 0x2018, 64, "48882 3.4.14").field(POINTER, READ_WRITE);
    /** Status, section 3.4.15. */
    public static final Register STATUS = Register.of("Status", 0x2020, 64, "48882 3.4.15")
            .field(EVENT_OVERFLOW, WRITE_1_TO_CLEAR)
            .field(EVENT_LOG_INT, WRITE_1_TO_CLEAR)
            .field(COM_WAIT_INT, WRITE_1_TO_CLEAR)
            .field(EVENT_LOG_RUN, READ_ONLY)
            .field(CMD_BUF_RUN, READ_ONLY)
            .field(PPR_OVERFLOW, WRITE_1_TO_CLEAR)
            .field(PPR_INT, WRITE_1_TO_CLEAR)
            .field(PPR_LOG_RUN, READ_ONLY);
    /** Page request log head. */
    public static final Register PPR_LOG_HEAD =
            Register.of("PprLogHead", 0x2030, 64, "48882 MMIO Offset 2030h").field(POINTER, READ_WRITE);
    /** Page request log tail. */
    public static final Register PPR_LOG_TAIL =
            Register.of("PprLogTail", 0x2038, 64, "48882 MMIO Offset 2038h").field(POINTER, READ_WRITE);

    /** The unit's automatic responses. */
    public static final BitField PPR_AUTO_RESP_CODE = bits(3, 0, "PprAutoRespCode");
    /** Automatic response to page requests. */
    public static final Register PPR_AUTO_RESPONSE =
            Register.of("PprAutoResp", 0x2080, 64, "48882 MMIO Offset 2080h").field(PPR_AUTO_RESP_CODE, READ_WRITE);

    private Registers() {}
}
