// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

/**
 * Memory as silicon reaches it: 64-bit words at physical addresses, each access snooped or not.
 *
 * <p>A snooped access consults the CPU caches: it sees dirty lines and, writing, leaves no stale ones. One that is not
 * snooped goes straight to DRAM past whatever the caches hold. Addresses are in bytes and aligned to 8. Nothing here
 * allocates.
 */
public interface Fabric {
    /** Returns whether there is memory at an address; anything else reads as all ones and swallows writes. */
    boolean isMemory(long physicalAddress);

    /** Reads a word. */
    long read(long physicalAddress, boolean snoop);

    /** Writes a word. */
    void write(long physicalAddress, long value, boolean snoop);

    /** Writes the 4 bytes at an address aligned to 4. */
    void write32(long physicalAddress, int value, boolean snoop);

    /** Writes a word if it has the expected value, atomically, and returns whether it had. */
    boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop);
}
