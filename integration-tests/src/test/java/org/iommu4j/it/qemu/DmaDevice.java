// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

/**
 * QEMU's EDU device, or what behaves like one: a buffer, and an engine that copies between it and memory.
 *
 * <p>Nobody but the device itself can look into its buffer. What a refused read leaves there is zeros.
 */
interface DmaDevice {
    /** Words of 64 bits in the buffer: the most that one transfer can move. */
    int BUFFER_WORDS = 512;

    /**
     * Copies memory to the buffer.
     *
     * @param iova the untranslated address, aligned to 8
     * @param slot index of the first word in the buffer
     */
    void read(long iova, int slot, int words);

    /**
     * Copies the buffer to memory.
     *
     * @param slot index of the first word in the buffer
     * @param iova the untranslated address, aligned to 8
     */
    void write(int slot, long iova, int words);
}
