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
 * @param execute whether the device wants to execute it
 * @param privileged whether the request has the rights of a supervisor, otherwise those of a user
 */
public record PageRequest(long address, boolean read, boolean write, boolean execute, boolean privileged) {
    @Override
    public String toString() {
        return Hex.of(address)
                + (read ? " r" : " -")
                + (write ? "w" : "-")
                + (execute ? "x" : "")
                + (privileged ? " privileged" : "");
    }
}
