// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.fmt;

import static org.iommu4j.bits.BitField.absolute;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * Fault recording register, VT-d 11.4.14, in the format of 9.9; reasons of chapter 7 and appendix A. A record of an
 * advanced fault log in memory has the same format, with F clear.
 */
public final class FaultRecord {
    /** Bytes of a record. */
    public static final int SIZE = 16;

    /** Fault information: the accessed page, in place; for an interrupt the {@link #INDEX}. */
    public static final BitField FI = absolute(63, 12, "FI");
    /** The part of the fault information that holds the index in the interrupt remapping table. */
    public static final BitField INDEX = absolute(63, 48, "INDEX");
    /** Source id. */
    public static final BitField SID = absolute(79, 64, "SID");
    /** Type, second bit. */
    public static final BitField T2 = absolute(92, 92, "T2");
    /** Privileged access. */
    public static final BitField PRIV = absolute(93, 93, "PRIV");
    /** Execute access. */
    public static final BitField EXE = absolute(94, 94, "EXE");
    /** A PASID was present. */
    public static final BitField PP = absolute(95, 95, "PP");
    /** Fault reason. */
    public static final BitField FR = absolute(103, 96, "FR");
    /** PASID. */
    public static final BitField PV = absolute(123, 104, "PV");
    /** Address type. */
    public static final BitField AT = absolute(125, 124, "AT");
    /** Type, first bit: 0 write, 1 read. */
    public static final BitField T1 = absolute(126, 126, "T1");
    /** A fault is recorded; writing 1 frees the record. */
    public static final BitField F = absolute(127, 127, "F");

    /** The fields, lowest first. */
    public static final Layout LAYOUT =
            Layout.of("fault record, VT-d 9.9", 2, FI, SID, T2, PRIV, EXE, PP, FR, PV, AT, T1, F);

    private FaultRecord() {}

    /** A refused interrupt that names no entry. */
    private static final int COMPATIBILITY_FORMAT = 0x25;

    /**
     * Returns whether a reason belongs to a refused interrupt: the record then holds no address, PASID or kind of
     * access.
     */
    public static boolean isInterrupt(int code) {
        return code >= 0x20 && code <= 0x28;
    }

    /** Describes a record, for an interrupt with its entry: {@code dmar_fault_do_one}. */
    public static String describe(long low, long high) {
        int code = (int) FR.get(high);
        if (!isInterrupt(code)) {
            return reason(code);
        }
        return (code == COMPATIBILITY_FORMAT ? "interrupt: " : "interrupt by entry " + INDEX.get(low) + ": ")
                + reason(code);
    }

    /** Describes a reason: legacy mode below 0x20, interrupts below 0x30, scalable mode above. */
    static String reason(int code) {
        return switch (code) {
            case 0x01 -> "root entry is not present";
            case 0x02 -> "context entry is not present";
            case 0x03 -> "context entry is invalid";
            case 0x04 -> "address is beyond the domain's width";
            case 0x05 -> "write to a page without write permission";
            case 0x06 -> "read of a page without read permission";
            case 0x07 -> "next table can't be read";
            case 0x08 -> "root table can't be read";
            case 0x09 -> "context table can't be read";
            case 0x0a -> "reserved bits are set in a root entry";
            case 0x0b -> "reserved bits are set in a context entry";
            case 0x0c -> "reserved bits are set in a paging entry";
            case 0x0d -> "translation request to an entry that blocks it";
            case 0x20 -> "reserved bits are set in the request";
            case 0x21 -> "entry is beyond the interrupt remapping table";
            case 0x22 -> "entry is not present";
            case 0x23 -> "interrupt remapping table can't be read";
            case 0x24 -> "reserved bits are set in the entry";
            case COMPATIBILITY_FORMAT -> "compatibility format is blocked";
            case 0x26 -> "entry is not for this source";
            case 0x27 -> "posted interrupt descriptor can't be read";
            case 0x28 -> "reserved bits are set in a posted interrupt descriptor";
            case 0x30 -> "root table address is invalid";
            case 0x31 -> "request with PASID in legacy mode";
            case 0x32 -> "page request in legacy mode";
            case 0x38 -> "scalable root entry can't be read";
            case 0x39 -> "scalable root entry is not present";
            case 0x3a -> "reserved bits are set in a scalable root entry";
            case 0x40 -> "scalable context entry can't be read";
            case 0x41 -> "scalable context entry is not present";
            case 0x42 -> "reserved bits are set in a scalable context entry";
            case 0x43 -> "scalable context entry is invalid";
            case 0x44 -> "translation request of a device whose context entry has DTE clear";
            case 0x45 -> "request with PASID of a device whose context entry has PASIDE clear";
            case 0x46 -> "PASID is beyond the PASID directory";
            case 0x47 -> "page request of a device whose context entry has PRE clear";
            case 0x48 -> "PASID of requests without one is beyond the PASID directory";
            case 0x50 -> "PASID directory entry can't be read";
            case 0x51 -> "PASID directory entry is not present";
            case 0x52 -> "reserved bits are set in a PASID directory entry";
            case 0x58 -> "PASID entry can't be read";
            case 0x59 -> "PASID entry is not present";
            case 0x5a -> "reserved bits are set in a PASID entry";
            case 0x5b -> "PASID entry is invalid";
            case 0x5c -> "execution with a PASID whose entry has ERE clear";
            case 0x5d -> "supervisor's request with a PASID whose entry has SRE clear";
            case 0x70 -> "first-stage entry can't be read";
            case 0x71 -> "first-stage entry is not present";
            case 0x72 -> "reserved bits are set in a first-stage entry";
            case 0x73 -> "top table of a first stage can't be read";
            case 0x74 -> "nested first-stage table is at an address beyond the unit's width";
            case 0x75, 0x76 -> "nested first-stage table is not readable in the second stage";
            case 0x77 -> "nested first-stage table is not writable in the second stage";
            case 0x78 -> "second-stage entry can't be read";
            case 0x79 -> "second-stage entry lacks the permission";
            case 0x7a -> "reserved bits are set in a second-stage entry";
            case 0x7b -> "second-stage table pointer is invalid";
            case 0x7c -> "second-stage A or D bit can't be set by walks that do not snoop";
            case 0x80 -> "address of a first stage is not canonical";
            case 0x81 -> "user's request to a page of supervisors";
            case 0x82 -> "execution of a page without execute permission";
            case 0x83 -> "address is beyond the unit's width";
            case 0x84 -> "address is beyond the second stage's width";
            case 0x85 -> "write without write permission in scalable mode";
            case 0x86 -> "read without read permission in scalable mode";
            case 0x0e, 0x87 -> "address belongs to interrupts";
            case 0x90 -> "first-stage A or D bit can't be set by walks that do not snoop";
            default -> "unknown reason";
        };
    }
}
