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

    /**
     * Returns whether uncached and write-combining accesses find lines that were cached by another mapping of the same
     * memory (CPUID 1, EDX bit 27). Without it they don't, and such a line may become old.
     */
    boolean selfSnoop();

    /** Loads a word with a memory type. */
    long load(long physicalAddress, MemoryType type);

    /**
     * Stores a word with a memory type. A word stored to write-combining memory may wait in a buffer, unseen by others,
     * until {@link #sfence}, {@link #mfence}, a locked operation or an uncached access.
     */
    void store(long physicalAddress, long value, MemoryType type);

    /**
     * Writes back and invalidates, in every cache, the line that holds the address, before any later store.
     *
     * @throws IllegalStateException on a CPU that is not x86's, which has no such instruction
     */
    void clflush(long physicalAddress);

    /**
     * As {@link #clflush}, but only a fence or a locked operation makes sure that it is done.
     *
     * @throws IllegalStateException on a CPU that is not x86's, which has no such instruction
     */
    void clflushopt(long physicalAddress);

    /**
     * As {@link #clflushopt}, but caches may keep the line, no longer modified.
     *
     * @throws IllegalStateException on a CPU that is not x86's, which has no such instruction
     */
    void clwb(long physicalAddress);

    /**
     * Writes back and invalidates this CPU's private caches and the shared one; no other CPU's private caches, unless
     * the shared one is inclusive.
     *
     * @throws IllegalStateException on a CPU that is not x86's, which has no such instruction
     */
    void wbinvd();

    /**
     * As {@link #wbinvd}, but caches keep their lines, no longer modified.
     *
     * @throws IllegalStateException on a CPU that is not x86's, which has no such instruction
     */
    void wbnoinvd();

    /**
     * As {@link #wbinvd}, but nothing is written back: modified lines are lost.
     *
     * @throws IllegalStateException on a CPU that is not x86's, which has no such instruction
     */
    void invd();

    /**
     * Orders all earlier stores before all later ones: write-combining buffers are written to memory, {@link
     * #clflushopt} and {@link #clwb} are done.
     *
     * @throws IllegalStateException on a CPU that is not x86's, which has no such instruction
     */
    void sfence();

    /** Orders all earlier loads and stores before all later ones; on x86 it does what {@link #sfence} does too. */
    void mfence();
}
