// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.fmt;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/** The commands that the driver sends, as two words of 64 bits. "Command-Queue (CQ)". */
public final class Command {
    /** Bytes of a command. */
    public static final int BYTES = 16;

    /** What it is about. */
    public static final BitField OPCODE = bits(6, 0, "opcode");
    /** Which of those commands. */
    public static final BitField FUNC3 = bits(9, 7, "func3");

    // IOTINVAL.VMA

    /** An address is given. */
    public static final BitField AV = bit(10, "AV");
    /** Tag of the translations to forget. */
    public static final BitField PSCID = bits(31, 12, "PSCID");
    /** The tag is given. */
    public static final BitField PSCV = bit(32, "PSCV");
    /** Entries that lead to tables are forgotten too, not the leaf alone. */
    public static final BitField NL = bit(34, "NL");
    /** The address stands for a range. */
    public static final BitField S = new BitField("S", 9, 9, 1);
    /** Page number of the address. */
    public static final BitField ADDR = new BitField("ADDR", 61, 10, 1);

    // IOFENCE.C

    /** Earlier reads of devices have taken place. */
    public static final BitField PR = bit(12, "PR");
    /** Earlier writes of devices have taken place. */
    public static final BitField PW = bit(13, "PW");

    // IODIR.INVAL_DDT

    /** A device id is given. */
    public static final BitField DV = bit(33, "DV");
    /** The device. */
    public static final BitField DID = bits(63, 40, "DID");

    /** Forgets first-stage translations. */
    public static final Layout IOTINVAL_VMA = Layout.of("IOTINVAL.VMA", 2, OPCODE, FUNC3, AV, PSCID, PSCV, NL, S, ADDR);

    /** Waits for the commands before it. */
    public static final Layout IOFENCE_C = Layout.of("IOFENCE.C", 2, OPCODE, FUNC3, AV, PR, PW);

    /** Forgets device contexts. */
    public static final Layout IODIR_INVAL_DDT = Layout.of("IODIR.INVAL_DDT", 2, OPCODE, FUNC3, DV, DID);

    private static final long OPCODE_IOTINVAL = 1;
    private static final long OPCODE_IOFENCE = 2;
    private static final long OPCODE_IODIR = 3;
    private static final int PAGE_SHIFT = 12;

    private Command() {}

    /** Word 0 of the command that forgets every translation. */
    public static long forgetAll() {
        return OPCODE.of(OPCODE_IOTINVAL);
    }

    /** Word 0 of the command that forgets every translation with a tag. */
    public static long forgetTag(int pscid) {
        return OPCODE.of(OPCODE_IOTINVAL) | PSCV.mask() | PSCID.of(pscid);
    }

    /** Word 0 of the command that forgets translations of an address with a tag; word 1 has the address. */
    public static long forgetAddress(int pscid, boolean nonLeaf) {
        return forgetTag(pscid) | AV.mask() | (nonLeaf ? NL.mask() : 0);
    }

    /** Word 1: a page. */
    public static long page(long iova) {
        return ADDR.of(iova >>> PAGE_SHIFT);
    }

    /**
     * Word 1: a range of pages, of which the address bits below its size are ones but for the highest.
     *
     * @param iova aligned to the size
     * @param shift log2 of its bytes, at least 13
     */
    public static long range(long iova, int shift) {
        long pages = 1L << (shift - PAGE_SHIFT - 1);
        return S.mask() | ADDR.of(iova >>> PAGE_SHIFT | pages - 1);
    }

    /** Word 0 of the command that waits for all before it, and for devices' requests that were translated before. */
    public static long fence() {
        return OPCODE.of(OPCODE_IOFENCE) | PR.mask() | PW.mask();
    }

    /** Word 0 of the command that forgets every entry of the device directory. */
    public static long forgetDirectory() {
        return OPCODE.of(OPCODE_IODIR);
    }

    /** Word 0 of the command that forgets a device's context. */
    public static long forgetDevice(long deviceId) {
        return OPCODE.of(OPCODE_IODIR) | DV.mask() | DID.of(deviceId);
    }
}
