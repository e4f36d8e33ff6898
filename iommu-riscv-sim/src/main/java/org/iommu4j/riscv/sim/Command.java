// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.StateDigest;

/** A command as it is in the queue; one object for all of a queue's. Source: manual, "Command-Queue". */
final class Command {
    /** A command's bytes. */
    static final int BYTES = 16;

    private static final BitField OPCODE_AND_FUNCTION = bits(9, 0, "opcode, func3");

    /** Kinds of commands: func3 above opcode. */
    static final int IOTINVAL_VMA = 1;

    static final int IOTINVAL_GVMA = 1 | 1 << 7;
    static final int IOFENCE_C = 2;
    static final int IODIR_INVAL_DDT = 3;
    static final int IODIR_INVAL_PDT = 3 | 1 << 7;
    static final int ATS_INVAL = 4;
    static final int ATS_PRGR = 4 | 1 << 7;

    // IOTINVAL
    private static final BitField AV = bit(10, "AV");
    private static final BitField PSCID = bits(31, 12, "PSCID");
    private static final BitField PSCV = bit(32, "PSCV");
    private static final BitField GV = bit(33, "GV");
    private static final BitField NL = bit(34, "NL");
    private static final BitField GSCID = bits(59, 44, "GSCID");
    private static final BitField S = bit(9, "S");
    private static final BitField ADDR = bits(61, 10, "ADDR");

    // IOFENCE.C; AV is as above
    private static final BitField WSI = bit(11, "WSI");
    private static final BitField PR = bit(12, "PR");
    private static final BitField PW = bit(13, "PW");
    private static final BitField DATA = bits(63, 32, "DATA");
    private static final BitField FENCE_ADDR = bits(61, 0, "ADDR");

    // IODIR and ATS
    private static final BitField PID = bits(31, 12, "PID");
    private static final BitField DV = bit(33, "DV");
    private static final BitField DID = bits(63, 40, "DID");
    private static final BitField PV = bit(32, "PV");
    private static final BitField DSV = bit(33, "DSV");
    private static final BitField RID = bits(55, 40, "RID");
    private static final BitField DSEG = bits(63, 56, "DSEG");
    private static final BitField GROUP = bits(40, 32, "Page Request Group Index");
    private static final BitField RESPONSE = bits(47, 44, "Response Code");
    private static final BitField GLOBAL = bit(0, "G");
    private static final BitField RANGE = bit(11, "S");

    private long low;
    private long high;

    /** Becomes the command of two words. */
    void load(long first, long second) {
        low = first;
        high = second;
    }

    int kind() {
        return (int) OPCODE_AND_FUNCTION.get(low);
    }

    /**
     * Returns whether the command is one that the unit has, without reserved bits.
     *
     * @param wired whether interrupts are by wires
     * @param deviceBits the width of device ids in the present mode
     */
    boolean isLegal(Features features, boolean wired, int deviceBits) {
        return switch (kind()) {
            case IOTINVAL_VMA -> isLegalInvalidation(features);
            case IOTINVAL_GVMA -> isLegalInvalidation(features) && !PSCV.isSet(low);
            case IOFENCE_C ->
                has(AV.mask() | PR.mask() | PW.mask() | DATA.mask() | (wired ? WSI.mask() : 0), FENCE_ADDR.mask());
            case IODIR_INVAL_DDT -> has(DV.mask() | DID.mask(), 0) && (!DV.isSet(low) || isDevice(deviceBits));
            case IODIR_INVAL_PDT ->
                has(DV.mask() | DID.mask() | PID.mask(), 0)
                        && DV.isSet(low)
                        && isDevice(deviceBits)
                        && PID.get(low) >>> features.processIdBits == 0;
            case ATS_INVAL, ATS_PRGR ->
                features.ats && has(PID.mask() | PV.mask() | DSV.mask() | RID.mask() | DSEG.mask(), -1L);
            default -> false;
        };
    }

    private boolean isLegalInvalidation(Features features) {
        return has(
                AV.mask()
                        | PSCID.mask()
                        | PSCV.mask()
                        | GV.mask()
                        | GSCID.mask()
                        | (features.nonLeafInvalidation ? NL.mask() : 0),
                ADDR.mask() | (features.rangeInvalidation ? S.mask() : 0));
    }

    private boolean isDevice(int deviceBits) {
        return DID.get(low) >>> deviceBits == 0;
    }

    private boolean has(long lowBits, long highBits) {
        return (low & ~(lowBits | OPCODE_AND_FUNCTION.mask())) == 0 && (high & ~highBits) == 0;
    }

    /** Returns whether an invalidation is of a guest, else of the host or of all guests. */
    boolean hasGuest() {
        return GV.isSet(low);
    }

    long gscid() {
        return GSCID.get(low);
    }

    boolean hasPscid() {
        return PSCV.isSet(low);
    }

    long pscid() {
        return PSCID.get(low);
    }

    /** Returns whether an invalidation is of addresses, or a fence stores something. */
    boolean hasAddress() {
        return AV.isSet(low);
    }

    /** Returns whether an invalidation of addresses is also of entries that lead to tables. */
    boolean reachesTables() {
        return NL.isSet(low);
    }

    long firstPage() {
        return ADDR.get(high) & ~(pages() - 1);
    }

    long lastPage() {
        return firstPage() | (pages() - 1);
    }

    /** Returns how many pages a range has, which the address's low ones tell. */
    private long pages() {
        return S.isSet(high) ? 2L << Long.numberOfTrailingZeros(~ADDR.get(high)) : 1;
    }

    boolean isSignalled() {
        return WSI.isSet(low);
    }

    long fenceAddress() {
        return FENCE_ADDR.get(high) << 2;
    }

    int fenceData() {
        return (int) DATA.get(low);
    }

    /** Returns whether an invalidation of directories is of one device. */
    boolean hasDevice() {
        return DV.isSet(low);
    }

    int device() {
        return (int) DID.get(low);
    }

    /** Returns the process id, whether or not it is valid. */
    int process() {
        return (int) PID.get(low);
    }

    /** Returns the PASID that a message to a device carries, or -1. */
    int pasid() {
        return PV.isSet(low) ? process() : -1;
    }

    /** Returns the requester id of the function that a message goes to. */
    int requester() {
        return (int) RID.get(low);
    }

    /**
     * Returns the segment of that function.
     *
     * @param own the unit's segment, if the command has none
     */
    int segment(int own) {
        return DSV.isSet(low) ? (int) DSEG.get(low) : own;
    }

    /** Returns how many bytes a device is to forget, a power of two. */
    long rangeBytes() {
        return RANGE.isSet(high) ? 2L << Long.numberOfTrailingZeros(~(high | 0xfff)) : 4096;
    }

    long rangeStart() {
        return high & -rangeBytes();
    }

    /** Returns whether a device is to forget the range for all PASIDs, not only the one that is there. */
    boolean isGlobal() {
        return PV.isSet(low) && GLOBAL.isSet(high);
    }

    int group() {
        return (int) GROUP.get(high);
    }

    int response() {
        return (int) RESPONSE.get(high);
    }

    void addTo(StateDigest digest) {
        digest.add(low);
        digest.add(high);
    }
}
