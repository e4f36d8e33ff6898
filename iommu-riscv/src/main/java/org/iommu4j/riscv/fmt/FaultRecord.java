// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.fmt;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/** A record of the fault queue, four words of 64 bits. "Fault/Event-Queue (FQ)". */
public final class FaultRecord {
    /** Bytes of a record. */
    public static final int BYTES = 32;

    /** What went wrong. */
    public static final BitField CAUSE = bits(11, 0, "CAUSE");
    /** Process id. */
    public static final BitField PID = bits(31, 12, "PID");
    /** The process id is valid. */
    public static final BitField PV = bit(32, "PV");
    /** Privileged. */
    public static final BitField PRIV = bit(33, "PRIV");
    /** Kind of the request. */
    public static final BitField TTYP = bits(39, 34, "TTYP");
    /** The device. */
    public static final BitField DID = bits(63, 40, "DID");

    /** The first word. */
    public static final Layout LAYOUT = Layout.of("fault record", CAUSE, PID, PV, PRIV, TTYP, DID);

    /** Bytes from a record's start to its address. */
    public static final int IOTVAL = 16;

    private static final int TTYP_NONE = 0;
    private static final int TTYP_WRITE = 3;
    private static final int TTYP_TRANSLATED_WRITE = 7;

    private FaultRecord() {}

    /** Returns whether it is about a device's request. */
    public static boolean isOfDevice(long word0) {
        return TTYP.get(word0) != TTYP_NONE;
    }

    /** Returns whether the request wrote. */
    public static boolean wrote(long word0) {
        long kind = TTYP.get(word0);
        return kind == TTYP_WRITE || kind == TTYP_TRANSLATED_WRITE;
    }

    /** Returns a cause in words. */
    public static String describe(int cause) {
        return switch (cause) {
            case 1 -> "instruction access fault";
            case 4 -> "misaligned read";
            case 5 -> "read access fault";
            case 6 -> "misaligned write";
            case 7 -> "write access fault";
            case 12 -> "page fault of an instruction fetch";
            case 13 -> "page fault of a read";
            case 15 -> "page fault of a write";
            case 20 -> "guest page fault of an instruction fetch";
            case 21 -> "guest page fault of a read";
            case 23 -> "guest page fault of a write";
            case 256 -> "all requests are refused";
            case 257 -> "the device directory can't be read";
            case 258 -> "the device directory's entry is not valid";
            case 259 -> "the device directory's entry is misconfigured";
            case 260 -> "requests of this kind are not allowed";
            case 261 -> "the MSI table can't be read";
            case 262 -> "the MSI table's entry is not valid";
            case 263 -> "the MSI table's entry is misconfigured";
            case 264 -> "the interrupt file can't be accessed";
            case 265 -> "the process directory can't be read";
            case 266 -> "the process directory's entry is not valid";
            case 267 -> "the process directory's entry is misconfigured";
            case 268 -> "the device directory is corrupt";
            case 269 -> "the process directory is corrupt";
            case 270 -> "the MSI table is corrupt";
            case 271 -> "the interrupt file is corrupt";
            case 272 -> "the unit has an internal error";
            case 273 -> "the unit's own MSI could not be written";
            case 274 -> "the page table is corrupt";
            default -> "cause " + cause;
        };
    }
}
