// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

/**
 * Memory as silicon reaches it: 64-bit words at physical addresses, each access snooped or not.
 *
 * <p>A snooped access consults the CPU caches: it sees dirty lines and, writing, leaves no stale ones [fabric-1]. One
 * that is not snooped goes straight to DRAM, past the lines that the caches hold [fabric-2]. Addresses are in bytes and
 * aligned to 8. Nothing here allocates [fabric-3].
 */
public interface Fabric {
    /**
     * Returns whether there is memory at an address; anything else reads as all ones and swallows writes
     * [fabric-memory-1].
     */
    boolean isMemory(long physicalAddress);

    /** Returns whether memory takes a write at an address [fabric-writable-1]; it may still not answer a read. */
    default boolean isWritable(long physicalAddress) {
        return isMemory(physicalAddress);
    }

    /**
     * Returns whether memory answers a read of the word at an address. A word that is not {@link AccessStatus#OK} reads
     * as all ones, so only a reader of all ones needs to ask [fabric-status-1].
     *
     * @param snoop whether the read is snooped: a cache may hold an intact copy of a word that is corrupt in DRAM
     */
    default AccessStatus status(long physicalAddress, boolean snoop) {
        return isMemory(physicalAddress) ? AccessStatus.OK : AccessStatus.ACCESS_FAULT;
    }

    /**
     * Returns whether a read of the word at an address brought nothing; asked after all ones only
     * [fabric-unreadable-1].
     */
    default boolean isUnreadable(long physicalAddress, boolean snoop) {
        return status(physicalAddress, snoop) != AccessStatus.OK;
    }

    /** Reads a word [fabric-read-1]. */
    long read(long physicalAddress, boolean snoop);

    /** Writes a word, which makes it intact [fabric-write-1]. */
    void write(long physicalAddress, long value, boolean snoop);

    /**
     * Writes the 4 bytes at an address aligned to 4; a word with {@link AccessStatus#POISON} stays as it is
     * [fabric-write-half-1].
     */
    void write32(long physicalAddress, int value, boolean snoop);

    /** Writes a word if it has the expected value, atomically, and returns whether it had [fabric-cas-1]. */
    boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop);

    /**
     * Sends a device an ATS invalidation request: it forgets the translations of a range before it answers
     * [fabric-invalidate-1].
     *
     * @param sourceId the device: unsigned 32 bits, see {@link SourceIdRange}
     * @param pasid 0 to 2^20 - 1, or {@link TranslationUnit#NO_PASID}
     * @param global whether all PASIDs are meant, in place of {@code pasid}
     * @param address first byte, aligned to {@code size}
     * @param size bytes, a power of two of at least 4096; {@link Long#MIN_VALUE} (2^63) and above for all
     * @param tag 0 to 31: names the request in an answer that comes later, and is not in use for another one
     * @return whether the device has answered, or will
     */
    default InvalidationAnswer invalidateDevice(
            int sourceId, int pasid, boolean global, long address, long size, int tag) {
        return InvalidationAnswer.NEVER;
    }

    /**
     * Sends a device the answer to a group of page requests (PCIe PRI) [fabric-respond-1].
     *
     * @param sourceId the device: unsigned 32 bits, see {@link SourceIdRange}
     * @param pasid that the message carries, or {@link TranslationUnit#NO_PASID}
     * @param group the device's index of the group, 0 to 511
     * @param code PCI Express's response code: 0 success, 1 invalid request, 15 response failure
     */
    default void respondToPageRequest(int sourceId, int pasid, int group, int code) {}

    /**
     * Drives an interrupt wire of the unit, which has the level until it is driven again [fabric-wire-1]; low at
     * power-on. Messages are writes instead.
     *
     * @param wire the unit's number for it, 0 to 31
     */
    default void setWire(int wire, boolean high) {}
}
