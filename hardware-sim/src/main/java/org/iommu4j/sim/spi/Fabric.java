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

    /**
     * Sends a device an ATS invalidation request: it forgets what it was told of a range before this returns.
     *
     * @param requesterId the device: bus 15:8, device 7:3, function 2:0
     * @param pasid 0 to 2^20 - 1, or {@link TranslationUnit#NO_PASID}
     * @param address first byte, aligned to {@code size}
     * @param size bytes, a power of two of at least 4096; {@link Long#MIN_VALUE} (2^63) and above for all
     * @return whether a device with a translation cache answered
     */
    default boolean invalidateDevice(int requesterId, int pasid, long address, long size) {
        return false;
    }

    /**
     * Sends a device the answer to a group of page requests (PCIe PRI).
     *
     * @param requesterId the device: bus 15:8, device 7:3, function 2:0
     * @param pasid that the message carries, or {@link TranslationUnit#NO_PASID}
     * @param group the device's index of the group, 0 to 511
     * @param code PCI Express's response code: 0 success, 1 invalid request, 15 response failure
     */
    default void respondToPageRequest(int requesterId, int pasid, int group, int code) {}
}
