// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.spi.VendorContext;

/**
 * A machine that a driver is opened on and whose devices do DMA, emulated or simulated.
 *
 * <p>Two of one {@link Hardware} have the same memory, registers and functions, and give out the same frames in the
 * same order: what a driver writes on one it writes on the other, at the same addresses.
 */
interface DmaMachine {
    /** Returns what it is, for messages. */
    String name();

    /** Returns what a driver is opened on. */
    VendorContext vendorContext(LinuxRelease release);

    /** Returns memory as CPU 0 sees it. */
    SystemMemory memory();

    /** Returns the registers. */
    RegisterSpace registers();

    /** Reads a block of memory, inside one frame. */
    long[] words(long physicalAddress, int count);

    /** Returns the DMA engine of a function. */
    DmaDevice device(PciAddress address);
}
