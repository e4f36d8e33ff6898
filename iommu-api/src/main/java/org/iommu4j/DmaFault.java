// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import java.util.Objects;
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;

/**
 * A refused request, as a unit reported it.
 *
 * <p>A unit reports the request's source id; the driver reports the device. Where no device that the driver knows has
 * the source id, the driver reports what the id stands for: the address on PCI where firmware maps the id to a
 * requester id, even if nothing was found there. Otherwise it reports a {@link NamedDevice} called {@code source-id:}
 * and the id in hexadecimal, for example {@code source-id:0x12345}.
 *
 * @param unit the name of the unit, as in {@link Iommu#units()}
 * @param requester the device that made the request
 * @param pasid 0 to 2^20 - 1, or {@link #NO_PASID}
 * @param address the address asked for, as far as the hardware tells it (VT-d reports pages of 4 KiB, and of an
 *     interrupt only the entry, which the description names: the address is the start of the interrupt range then)
 * @param write whether the request wrote, as far as the hardware tells it
 * @param reason the manual's code
 * @param description the reason in words
 */
public record DmaFault(
        String unit, DeviceId requester, int pasid, long address, boolean write, int reason, String description) {
    /** The request carried no PASID, or the report does not tell. */
    public static final int NO_PASID = -1;

    /** Refuses what is missing. */
    public DmaFault {
        Objects.requireNonNull(unit, "unit");
        Objects.requireNonNull(requester, "requester");
        Objects.requireNonNull(description, "description");
    }

    @Override
    public String toString() {
        return unit + ": " + (write ? "write" : "read") + " by " + requester
                + (pasid == NO_PASID ? "" : " with PASID 0x" + Integer.toHexString(pasid)) + " at 0x"
                + Long.toHexString(address) + " refused, reason 0x" + Integer.toHexString(reason) + ": " + description;
    }
}
