// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

/**
 * Physical frames for tables and queues.
 *
 * <p>Thread-safe. The contents of a new frame are unspecified: whoever needs zeros stores them, and writes them back
 * where the reader does not snoop.
 */
public interface FrameAllocator {
    /**
     * Takes {@code 2^order} contiguous frames, aligned to their size.
     *
     * @param order 0 to 10
     * @return their physical address
     * @throws org.iommu4j.IommuException ENOMEM
     */
    long allocate(int order);

    /**
     * Gives frames back. Never fails.
     *
     * @param physicalAddress what {@link #allocate} returned
     * @param order the order of that call
     */
    void free(long physicalAddress, int order);

    /** Returns how many 4 KiB frames are out. What a test of leaks compares. */
    long inUse();
}
