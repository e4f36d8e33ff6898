// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import org.iommu4j.DmaFault;
import org.iommu4j.pci.PciAddress;

/**
 * A refused request, as far as two witnesses must agree on it.
 *
 * @param requesterId bus 15:8, device 7:3, function 2:0
 * @param page the address asked for, without its lowest 12 bits
 * @param write whether the request wrote
 * @param reason the manual's code
 */
record Fault(int requesterId, long page, boolean write, int reason) {
    static Fault of(DmaFault fault) {
        int requesterId = ((PciAddress) fault.requester()).requesterId();
        return new Fault(requesterId, fault.address() & -4096, fault.write(), fault.reason());
    }

    @Override
    public String toString() {
        return String.format("%s by %04x at 0x%x: 0x%x", write ? "write" : "read", requesterId, page, reason);
    }
}
