// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

/**
 * One logical CPU: its loads and stores, and the instructions that control its caches.
 *
 * <p>Addresses are physical, in bytes. Words are 64 bits, aligned to 8.
 */
public interface Processor {
    /** Returns the CPU's number, from 0. */
    int id();

    /** Returns its virtualization extension. */
    HardwareVirtualization virtualization();

    /** Loads a word with a memory type. */
    long load(long physicalAddress, MemoryType type);

    /** Stores a word with a memory type. */
    void store(long physicalAddress, long value, MemoryType type);

    /**
     * Writes back and invalidates, in every cache, the line that holds the address.
     *
     * @throws IllegalStateException on a CPU that is not x86's, which has no such instruction
     */
    void clflush(long physicalAddress);

    /**
     * Writes back and invalidates this CPU's private caches and the shared one; no other CPU's private caches.
     *
     * @throws IllegalStateException on a CPU that is not x86's, which has no such instruction
     */
    void wbinvd();

    /** Orders all earlier loads and stores before all later ones. */
    void mfence();
}
