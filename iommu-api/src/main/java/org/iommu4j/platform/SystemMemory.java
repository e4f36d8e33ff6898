// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

/**
 * Physical memory as one CPU sees it, in ordered 64-bit words.
 *
 * <p>Addresses are physical, in bytes, and aligned to 8. Loads acquire and stores release: a reader that sees a later
 * store sees the earlier ones [memory-1]. A run is a contiguous series of words inside one 4 KiB frame, so that filling
 * or checking a table is one call. An address outside memory is a bug of the caller: {@link IllegalStateException}
 * [memory-2].
 */
public interface SystemMemory {
    /** Size of a frame in bytes. */
    int FRAME_SIZE = 4096;

    /** Number of 64-bit words in a frame. */
    int FRAME_WORDS = FRAME_SIZE / 8;

    /** Loads a word [memory-load-1]. */
    long load(long physicalAddress);

    /** Stores a word [memory-store-1]. */
    void store(long physicalAddress, long value);

    /** Stores a word if it has the expected value, atomically, and returns whether it had [memory-cas-1]. */
    boolean compareAndSet(long physicalAddress, long expected, long value);

    /**
     * Stores {@code count} words: {@code first}, {@code first + increment}, {@code first + 2 * increment} and so on
     * [memory-run-1].
     *
     * @param count 1 to the words left in the frame
     */
    void storeRun(long physicalAddress, long first, long increment, int count);

    /**
     * Returns how many words, from this one on and at most {@code count}, have no bit of {@code mask} set
     * [memory-clear-1].
     */
    int leadingClear(long physicalAddress, long mask, int count);

    /**
     * Returns how many words, from this one on and at most {@code count}, have some bit of {@code mask} set
     * [memory-set-1].
     */
    int leadingSet(long physicalAddress, long mask, int count);

    /**
     * Makes stored bytes visible to a reader that does not snoop the CPU caches, before anything stored later
     * [memory-write-back-1].
     *
     * <p>On x86 this is CLFLUSH over the range, and a fence. No cache holds the range afterwards: the next load sees
     * what a device that does not snoop has stored meanwhile.
     *
     * @param size bytes, any number above 0
     */
    void writeBack(long physicalAddress, long size);
}
