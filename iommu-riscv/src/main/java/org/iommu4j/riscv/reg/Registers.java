// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.reg;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;

/** A unit's memory-mapped registers as far as the driver uses them, "Register layout". Little endian always. */
public final class Registers {
    /** Bytes of the window. */
    public static final int WINDOW_SIZE = 4096;

    /** What the unit can do: {@link Capabilities}. 64 bits. */
    public static final int CAPABILITIES = 0;

    /** Features control. 32 bits; changes only while the directory and the queues are off. */
    public static final int FCTL = 8;
    /** Structures in memory are big endian. */
    public static final BitField BE = bit(0, "BE");
    /** Interrupts by wire. */
    public static final BitField WSI = bit(1, "WSI");

    /** Device directory pointer. 64 bits. */
    public static final int DDTP = 16;
    /** Off, bare, or the levels of the directory. */
    public static final BitField IOMMU_MODE = bits(3, 0, "iommu_mode");
    /** A change is under way. */
    public static final BitField DDTP_BUSY = bit(4, "busy");
    /** Page number of the root. */
    public static final BitField DDTP_PPN = bits(53, 10, "PPN");
    /** All requests are refused. */
    public static final int MODE_OFF = 0;
    /** All addresses pass unchanged. */
    public static final int MODE_BARE = 1;
    /** A directory of one level; of two and three in the next modes. */
    public static final int MODE_1LVL = 2;
    /** A directory of three levels. */
    public static final int MODE_3LVL = 4;

    /** Command queue: base of 64 bits, head and tail of 32, control. */
    public static final int CQB = 24;
    /** The unit's index. */
    public static final int CQH = 32;
    /** The driver's index. */
    public static final int CQT = 36;
    /** Fault queue: base. */
    public static final int FQB = 40;
    /** The driver's index. */
    public static final int FQH = 48;
    /** The unit's index. */
    public static final int FQT = 52;
    /** log2 of a queue's entries, less one. */
    public static final BitField LOG2SZ_1 = bits(4, 0, "LOG2SZ-1");
    /** Page number of a queue. */
    public static final BitField QUEUE_PPN = bits(53, 10, "PPN");

    /** Command queue control and status. */
    public static final int CQCSR = 72;
    /** Fault queue control and status. */
    public static final int FQCSR = 76;
    /** Page request queue control and status. */
    public static final int PQCSR = 80;
    /** Software turns a queue on. */
    public static final BitField ENABLE = bit(0, "en");
    /** The queue is on. */
    public static final BitField ON = bit(16, "on");
    /** A change is under way. */
    public static final BitField BUSY = bit(17, "busy");
    /** Memory under the queue failed. */
    public static final BitField MEMORY_FAULT = bit(8, "mf");
    /** Command queue: a device did not answer in time. */
    public static final BitField COMMAND_TIMEOUT = bit(9, "cmd_to");
    /** Command queue: a command is illegal. */
    public static final BitField COMMAND_ILLEGAL = bit(10, "cmd_ill");
    /** Command queue: a fence completed. */
    public static final BitField FENCE_PENDING = bit(11, "fence_w_ip");
    /** Fault queue: it was full. */
    public static final BitField OVERFLOW = bit(9, "of");

    /** Bits that stop the command queue until they are cleared. */
    public static final int COMMAND_ERRORS =
            (int) (MEMORY_FAULT.mask() | COMMAND_TIMEOUT.mask() | COMMAND_ILLEGAL.mask());

    /** Interrupts that are pending; writing ones clears. */
    public static final int IPSR = 84;
    /** All of them. */
    public static final int IPSR_ALL = 0xf;

    /** Numbers of interrupt vectors. 64 bits. */
    public static final int ICVEC = 760;
    /** Vector of the command queue. */
    public static final BitField CIV = bits(3, 0, "civ");
    /** Vector of the fault queue. */
    public static final BitField FIV = bits(7, 4, "fiv");
    /** Vector of the performance counters. */
    public static final BitField PMIV = bits(11, 8, "pmiv");
    /** Vector of the page request queue. */
    public static final BitField PIV = bits(15, 12, "piv");

    private static final int PAGE_SHIFT = 12;

    private Registers() {}

    /** Returns a page number of bits 53:10 that is a physical address's; addresses of more than 56 bits lose some. */
    public static long ppn(long physicalAddress) {
        return physicalAddress >>> PAGE_SHIFT << 10 & DDTP_PPN.mask();
    }
}
