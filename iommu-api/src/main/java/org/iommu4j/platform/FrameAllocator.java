// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

/**
 * Physical frames for tables and queues.
 *
 * <p>Thread-safe [frames-1]. The contents of a new frame are unspecified: a driver that needs zeros stores them, and
 * writes them back where the reader does not snoop [frames-2].
 */
public interface FrameAllocator {
    /**
     * Takes {@code 2^order} contiguous frames, aligned to their size [frames-allocate-1].
     *
     * @param order 0 to 10
     * @return their physical address
     * @throws org.iommu4j.IommuException ENOMEM [frames-allocate-2]
     */
    long allocate(int order);

    /**
     * Gives frames back: all that one {@link #allocate} gave, or, one after the other, the parts of it that are aligned
     * to their size [frames-free-1].
     *
     * @param physicalAddress of the first frame, aligned to the size of the order
     * @param order 0 to the order of that call
     * @throws IllegalStateException when they are not given out: a bug of the caller, and nothing is freed
     *     [frames-free-2]
     */
    void free(long physicalAddress, int order);

    /** Returns how many 4 KiB frames are given out, which a test of leaks compares [frames-in-use-1]. */
    long inUse();
}
