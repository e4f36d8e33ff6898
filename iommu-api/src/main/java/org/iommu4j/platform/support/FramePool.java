// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform.support;

import java.util.Arrays;
import java.util.BitSet;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.bits.Hex;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;

/**
 * Frames from one range of physical memory, lowest first, by bitmap.
 *
 * <p>Thread-safe. A frame that is freed twice, was never given out or is not the first of a block of its order is a bug
 * of the caller: {@link IllegalStateException}, and nothing is freed.
 */
public final class FramePool implements FrameAllocator {
    private static final int MAX_ORDER = 10;

    private final long base;
    private final int frames;
    private final BitSet used;

    /** For each order a frame below which no block of it is free, so that a search does not begin anew each time. */
    private final int[] lowestFree = new int[MAX_ORDER + 1];

    private long inUse;

    /**
     * Makes a pool.
     *
     * @param base physical address of its first byte, 4 KiB aligned
     * @param size bytes, a multiple of 4096, at most 2^40
     */
    public FramePool(long base, long size) {
        this(base, size, new BitSet());
    }

    /** Makes a pool that notes its frames in an empty set, for those that count how far it is searched. */
    FramePool(long base, long size, BitSet used) {
        if (base < 0
                || base % SystemMemory.FRAME_SIZE != 0
                || size <= 0
                || size % SystemMemory.FRAME_SIZE != 0
                || size > 1L << 40
                || base > Long.MAX_VALUE - size) {
            throw new IllegalArgumentException("pool at 0x" + Long.toHexString(base) + " of " + size
                    + " bytes, expected 4 KiB alignment, at most 2^40 bytes and an end below 2^63");
        }
        this.base = base;
        this.frames = (int) (size / SystemMemory.FRAME_SIZE);
        this.used = used;
    }

    @Override
    public synchronized long allocate(int order) {
        if (order < 0 || order > MAX_ORDER) {
            throw new IllegalArgumentException("order " + order + ", expected 0 to " + MAX_ORDER);
        }
        int count = 1 << order;
        int candidate = alignedUp(used.nextClearBit(lowestFree[order]), count);
        while (candidate + count <= frames) {
            int busy = lastUsed(candidate, count);
            if (busy < 0) {
                used.set(candidate, candidate + count);
                inUse += count;
                lowestFree[order] = candidate + count;
                return base + (long) candidate * SystemMemory.FRAME_SIZE;
            }
            candidate = alignedUp(used.nextClearBit(busy), count);
        }
        lowestFree[order] = frames;
        throw new IommuException(Errno.ENOMEM, "no " + count + " contiguous frames left in a pool of " + frames);
    }

    @Override
    public synchronized void free(long physicalAddress, int order) {
        if (order < 0 || order > MAX_ORDER) {
            throw new IllegalStateException("order " + order + ", expected 0 to " + MAX_ORDER);
        }
        int count = 1 << order;
        long index = (physicalAddress - base) / SystemMemory.FRAME_SIZE;
        if (physicalAddress < base
                || index + count > frames
                || physicalAddress % ((long) count * SystemMemory.FRAME_SIZE) != 0) {
            throw new IllegalStateException(
                    Hex.of(physicalAddress) + " is no frame of this pool, or no block of order " + order);
        }
        int first = (int) index;
        int free = used.nextClearBit(first);
        if (free < first + count) {
            throw new IllegalStateException(
                    "frame 0x" + Long.toHexString(base + (long) free * SystemMemory.FRAME_SIZE) + " is free already");
        }
        used.clear(first, first + count);
        inUse -= count;
        for (int each = 0; each <= MAX_ORDER; each++) {
            lowestFree[each] = Math.min(lowestFree[each], Math.max(0, alignedUp(first + 1, 1 << each) - (1 << each)));
        }
    }

    @Override
    public synchronized long inUse() {
        return inUse;
    }

    /** Takes all frames back, as at power-on. */
    public synchronized void reset() {
        used.clear();
        inUse = 0;
        Arrays.fill(lowestFree, 0);
    }

    private int lastUsed(int from, int count) {
        for (int i = from + count - 1; i >= from; i--) {
            if (used.get(i)) {
                return i;
            }
        }
        return -1;
    }

    /** Returns the first frame from this one on whose physical address is aligned to so many frames. */
    private int alignedUp(int frame, int count) {
        long number = base / SystemMemory.FRAME_SIZE + frame;
        return frame + (int) (-number & (count - 1));
    }
}
