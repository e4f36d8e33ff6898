// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

/**
 * Physical memory as one CPU sees it, in ordered 64-bit words.
 *
 * <p>Addresses are physical, in bytes, and aligned to 8. Loads acquire, stores release: whoever sees a later store
 * sees the earlier ones. A run is a contiguous series of words inside one 4 KiB frame, so that filling or checking a
 * table is one call. An address outside memory is a bug of the caller: {@link IllegalStateException}.
 */
public interface SystemMemory {
    /** Size of a frame in bytes. */
    int FRAME_SIZE = 4096;

    /** Number of 64-bit words in a frame. */
    int FRAME_WORDS = FRAME_SIZE / 8;

    /** Loads a word. */
    long load(long physicalAddress);

    /** Stores a word. */
    void store(long physicalAddress, long value);

    /** Stores a word if it has the expected value, atomically, and returns whether it had. */
    boolean compareAndSet(long physicalAddress, long expected, long value);

    /**
     * Stores {@code count} words: {@code first}, {@code first + increment}, {@code first + 2 * increment}, ...
     *
     * @param count 1 to the words left in the frame
     */
    void storeRun(long physicalAddress, long first, long increment, int count);

    /** Returns how many words, from this one on and at most {@code count}, have no bit of {@code mask} set. */
    int leadingClear(long physicalAddress, long mask, int count);

    /** Returns how many words, from this one on and at most {@code count}, have some bit of {@code mask} set. */
    int leadingSet(long physicalAddress, long mask, int count);

    /**
     * Makes stored bytes visible to a reader that does not snoop the CPU caches, before anything stored later.
     *
     * <p>On x86 CLFLUSH or CLWB over the range and a fence. What a driver must do for tables that a unit walks without
     * coherency.
     *
     * @param size bytes, any number above 0
     */
    void writeBack(long physicalAddress, long size);
}
