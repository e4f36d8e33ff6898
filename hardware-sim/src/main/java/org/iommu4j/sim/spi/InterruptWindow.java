// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

/**
 * The addresses at which a root complex takes a device's write for an interrupt request, before any translation.
 *
 * @param start physical address of the first byte
 * @param size bytes, from 1
 */
public record InterruptWindow(long start, long size) {
    /**
     * The window of x86: 0xfee00000 to 0xfeefffff. Source: VT-d, section on interrupt address ranges; AMD64 manual,
     * APIC's message window.
     */
    public static final InterruptWindow X86 = new InterruptWindow(0xfee00000L, 0x100000L);

    /**
     * Checks the range.
     *
     * @throws IllegalArgumentException when it is empty, or wraps around
     */
    public InterruptWindow {
        if (start < 0 || size < 1 || start + size < 0) {
            throw new IllegalArgumentException(
                    "an interrupt window of " + size + " bytes from 0x" + Long.toHexString(start));
        }
    }
}
