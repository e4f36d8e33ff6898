// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import java.util.List;
import java.util.Objects;
import org.iommu4j.device.DeviceId;

/**
 * Pages that a device asked for together, to be answered together.
 *
 * <p>Source: {@code struct iopf_group}.
 *
 * @param requester the device that asks
 * @param pasid in whose address space, 0 to 2^20 - 1
 * @param index the device's number for the group, 0 to 511
 * @param pages in the order in which the device asked, at least one
 */
public record PageRequestGroup(DeviceId requester, int pasid, int index, List<PageRequest> pages) {
    /** Copies the list. */
    public PageRequestGroup {
        Objects.requireNonNull(requester, "requester");
        pages = List.copyOf(pages);
    }

    @Override
    public String toString() {
        return "group " + index + " of " + requester + " with PASID 0x" + Integer.toHexString(pasid) + ": " + pages;
    }
}
