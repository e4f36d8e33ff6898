// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import java.util.Arrays;

/**
 * What a series of unmaps leaves to be invalidated: one IOVA range, and the table frames to free after it.
 *
 * <p>A gather is allocated once by its user and reused, so that unmapping allocates nothing. It belongs to one thread
 * and, between two {@link IommuDomain#sync}s, to one domain. Source: {@code struct iommu_iotlb_gather}.
 */
public final class IotlbGather {
    /** How many frames can wait for the flush; a driver syncs by itself when they are used up. */
    public static final int MAX_FRAMES = 64;

    private final long[] frames = new long[MAX_FRAMES];
    private int frameCount;
    private long start;
    private long end;

    /** Makes an empty gather. */
    public IotlbGather() {
        reset();
    }

    /** Empties the gather. */
    public void reset() {
        frameCount = 0;
        start = -1L;
        end = 0;
    }

    /** Returns whether there is neither a range to invalidate nor a frame to free. */
    public boolean isEmpty() {
        return frameCount == 0 && !hasRange();
    }

    /** Returns whether there is a range to invalidate. */
    public boolean hasRange() {
        return Long.compareUnsigned(start, end) <= 0;
    }

    /**
     * Extends the range.
     *
     * @param first first byte unmapped
     * @param last last byte unmapped, inclusive
     */
    public void addRange(long first, long last) {
        if (Long.compareUnsigned(first, start) < 0) {
            start = first;
        }
        if (Long.compareUnsigned(last, end) > 0) {
            end = last;
        }
    }

    /**
     * Leaves a table frame to be freed after the flush.
     *
     * @return false when the gather is full: sync it first
     */
    public boolean addFrame(long physicalAddress) {
        if (frameCount == MAX_FRAMES) {
            return false;
        }
        frames[frameCount++] = physicalAddress;
        return true;
    }

    /** Returns the first byte of the range. */
    public long start() {
        return start;
    }

    /** Returns the last byte of the range, inclusive. */
    public long end() {
        return end;
    }

    /** Returns how many frames wait. */
    public int frameCount() {
        return frameCount;
    }

    /** Returns the physical address of a waiting frame. */
    public long frame(int index) {
        if (index >= frameCount) {
            throw new IndexOutOfBoundsException("frame " + index + " of " + frameCount);
        }
        return frames[index];
    }

    @Override
    public String toString() {
        return hasRange()
                ? "[0x" + Long.toHexString(start) + ", 0x" + Long.toHexString(end) + "], frames "
                        + Arrays.toString(Arrays.copyOf(frames, frameCount))
                : "no range, " + frameCount + " frames";
    }
}
