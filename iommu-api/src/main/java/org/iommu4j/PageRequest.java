// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import org.iommu4j.bits.Hex;

/**
 * One page that a device asked for.
 *
 * <p>Source: {@code struct iommu_fault_page_request}.
 *
 * @param address first byte of the page of 4 KiB, in the device's address space
 * @param read whether the device wants to read it
 * @param write whether the device wants to write it
 */
public record PageRequest(long address, boolean read, boolean write) {
    @Override
    public String toString() {
        return Hex.of(address) + (read ? " r" : " -") + (write ? "w" : "-");
    }
}
