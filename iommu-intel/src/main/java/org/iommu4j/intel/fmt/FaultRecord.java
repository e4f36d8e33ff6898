// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.fmt;

import static org.iommu4j.bits.BitField.absolute;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/** Fault recording register, VT-d 11.4.14, in the format of 9.9; reasons of chapter 7 and appendix A. */
public final class FaultRecord {
    /** Bytes of a record. */
    public static final int SIZE = 16;

    /** Fault information: the page that was accessed, in place. */
    public static final BitField FI = absolute(63, 12, "FI");
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

    /** Says what a reason of legacy mode means. */
    public static String reason(int code) {
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
            default -> code >= 0x20 && code <= 0x28 ? "interrupt remapping fault" : "unknown reason";
        };
    }
}
