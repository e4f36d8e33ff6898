// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

/**
 * What the kernel's command line, or the running kernel's log, says to a driver.
 *
 * @param interruptRemapping false when interrupt remapping is off ({@code intremap=off}, or the host's log lacks the
 *     line that says it was enabled), whatever the hardware could do
 */
public record BootOptions(boolean interruptRemapping) {
    /** Everything that the hardware can do is on. */
    public static final BootOptions DEFAULT = new BootOptions(true);
}
