// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

import java.util.Arrays;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;

/**
 * Frames from one range of physical memory, lowest first, by bitmap.
 *
 * <p>Thread-safe. A frame that is freed twice, or was never given out, is a bug of the caller: {@link
 * IllegalStateException}.
 */
public final class FramePool implements FrameAllocator {
    private static final int MAX_ORDER = 10;

    private final long base;
    private final int frames;
    private final long[] used;
    private long inUse;
    private int firstFree;

    /**
     * Makes a pool.
     *
     * @param base physical address of its first byte, 4 KiB aligned
     * @param size bytes, a multiple of 4096, at most 2^40
     */
    public FramePool(long base, long size) {
        if (base < 0
                || base % SystemMemory.FRAME_SIZE != 0
                || size <= 0
                || size % SystemMemory.FRAME_SIZE != 0
                || size > 1L << 40) {
            throw new IllegalArgumentException("pool at 0x" + Long.toHexString(base) + " of " + size
                    + " bytes, expected 4 KiB alignment and at most 2^40 bytes");
        }
        this.base = base;
        this.frames = (int) (size / SystemMemory.FRAME_SIZE);
        this.used = new long[(frames + 63) / 64];
    }

    @Override
    public synchronized long allocate(int order) {
        if (order < 0 || order > MAX_ORDER) {
            throw new IllegalArgumentException("order " + order + ", expected 0 to " + MAX_ORDER);
        }
        int count = 1 << order;
        long firstFrame = base / SystemMemory.FRAME_SIZE;
        int candidate = (int) (alignUp(firstFrame + firstFree, count) - firstFrame);
        while (candidate + count <= frames) {
            int busy = lastUsed(candidate, count);
            if (busy < 0) {
                mark(candidate, count, true);
                inUse += count;
                if (candidate == firstFree) {
                    firstFree = candidate + count;
                }
                return base + (long) candidate * SystemMemory.FRAME_SIZE;
            }
            candidate = (int) (alignUp(firstFrame + busy + 1, count) - firstFrame);
        }
        throw new IommuException(Errno.ENOMEM, "no " + count + " contiguous frames left in a pool of " + frames);
    }

    @Override
    public synchronized void free(long physicalAddress, int order) {
        int count = 1 << order;
        long index = (physicalAddress - base) / SystemMemory.FRAME_SIZE;
        if (physicalAddress < base || index + count > frames || physicalAddress % SystemMemory.FRAME_SIZE != 0) {
            throw new IllegalStateException("0x" + Long.toHexString(physicalAddress) + " is no frame of this pool");
        }
        for (int i = 0; i < count; i++) {
            if (!isUsed((int) index + i)) {
                throw new IllegalStateException("frame 0x" + Long.toHexString(physicalAddress) + " is free already");
            }
        }
        mark((int) index, count, false);
        inUse -= count;
        firstFree = Math.min(firstFree, (int) index);
    }

    @Override
    public synchronized long inUse() {
        return inUse;
    }

    /** Takes all frames back, as at power-on. */
    public synchronized void reset() {
        Arrays.fill(used, 0);
        inUse = 0;
        firstFree = 0;
    }

    private boolean isUsed(int frame) {
        return (used[frame >>> 6] & (1L << frame)) != 0;
    }

    private int lastUsed(int from, int count) {
        for (int i = from + count - 1; i >= from; i--) {
            if (isUsed(i)) {
                return i;
            }
        }
        return -1;
    }

    private void mark(int from, int count, boolean value) {
        for (int i = from; i < from + count; i++) {
            if (value) {
                used[i >>> 6] |= 1L << i;
            } else {
                used[i >>> 6] &= ~(1L << i);
            }
        }
    }

    private static long alignUp(long value, long alignment) {
        return (value + alignment - 1) / alignment * alignment;
    }
}
