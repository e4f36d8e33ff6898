// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.fmt;

import static org.iommu4j.bits.BitField.absolute;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;
import org.iommu4j.bits.SplitField;

/**
 * A 128-bit entry of the peripheral page request log, 48882 section 2.6, as two words.
 *
 * <p>Event INVALID_PPR_REQUEST, section 2.5.10, has its requester, PASID and tag in the same places.
 */
public final class PprLogEntry {
    /** The requester. */
    public static final BitField DEVICE_ID = absolute(15, 0, "DeviceID");

    private static final BitField PASID_LOW = absolute(31, 16, "PASID[15:0]");
    private static final BitField PASID_HIGH = absolute(45, 42, "PASID[19:16]");

    /** The PASID, with {@link #GN}; scattered. */
    public static final SplitField PASID = SplitField.of("PASID", PASID_LOW, PASID_HIGH);

    /** The device's index of the group. */
    public static final BitField TAG = absolute(40, 32, "PPRTag");
    /** The last of its group. */
    public static final BitField LAST = absolute(41, 41, "L");
    /** Execution is requested. */
    public static final BitField EXECUTE = absolute(49, 49, "X");
    /** Read access is requested. */
    public static final BitField READ = absolute(50, 50, "R");
    /** Write access is requested. */
    public static final BitField WRITE = absolute(53, 53, "W");
    /** Without privilege. */
    public static final BitField US = absolute(54, 54, "US");
    /** The request is invalid. */
    public static final BitField RZ = absolute(55, 55, "RZ");
    /** A PASID was present. */
    public static final BitField GN = absolute(56, 56, "GN");
    /** Type of the entry; 0 while it is not written yet. */
    public static final BitField CODE = absolute(63, 60, "PPRCode");
    /** The page. */
    public static final BitField ADDRESS = absolute(127, 76, "Address");

    /** {@link #CODE}: a page request. */
    public static final int PAGE_SERVICE_REQUEST = 1;

    /** Bytes of an entry. */
    public static final int BYTES = 16;

    /** The entry. */
    public static final Layout LAYOUT = Layout.of(
            "page request (48882 2.6)",
            2,
            DEVICE_ID,
            PASID_LOW,
            TAG,
            LAST,
            PASID_HIGH,
            EXECUTE,
            READ,
            WRITE,
            US,
            RZ,
            GN,
            CODE,
            ADDRESS);

    private PprLogEntry() {}
}
