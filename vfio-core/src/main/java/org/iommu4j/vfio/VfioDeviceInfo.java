// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

/**
 * What a device has. Source: {@code struct vfio_device_info}.
 *
 * @param flags {@link #RESET} and {@link #PCI}
 * @param regions how many regions it has
 * @param interrupts how many kinds of interrupts it has
 */
public record VfioDeviceInfo(int flags, int regions, int interrupts) {
    /** The device can be reset. */
    public static final int RESET = 1;

    /** It is a PCI function. */
    public static final int PCI = 1 << 1;

    /** Bytes of the structure, without which it is refused. */
    public static final int MIN_SIZE = 16;
}
