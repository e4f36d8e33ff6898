// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

/**
 * What a series of unmaps leaves to be invalidated: one IOVA range, and the table frames to free after it.
 *
 * <p>A gather is allocated once by its user and reused, so that unmapping allocates nothing. It belongs to one thread
 * and, between two {@link IommuDomain#sync}s, to one domain. Source: {@code struct iommu_iotlb_gather}.
 *
 * <p>The user only makes it, passes it to {@link IommuDomain#unmap} and has it synced. A user that defers the flush of
 * many unmaps may {@linkplain #moveFramesTo collect} their tables in one gather, extend its range over all of them, and
 * have that one synced. A driver fills and empties it:
 *
 * <ol>
 *   <li>{@code unmap} adds what it unmapped by {@link #addRange}, and each table that no entry leads to any more by
 *       {@link #addFrame}: one entry a table, whatever its size, so that nothing is written into the table's frames,
 *       which the hardware may still read. When there is no room, it syncs the gather and adds the table then.
 *   <li>{@code sync} has the hardware forget the range, and what it knows of tables where tables wait. Then it gives
 *       each table back, {@code free(frame(i), order(i))} of its {@link org.iommu4j.platform.FrameAllocator}, and calls
 *       {@link #reset}.
 *   <li>Where the invalidation fails, {@code sync} gives nothing back: it counts {@link #totalFrames} among {@link
 *       Iommu#quarantinedFrames} and calls {@link #reset}.
 * </ol>
 */
public final class IotlbGather {
    /** How many tables can wait for the flush; a driver syncs by itself when they are used up. */
    public static final int MAX_FRAMES = 64;

    /** The largest table: 2^10 frames of 4 KiB, as {@link org.iommu4j.platform.FrameAllocator} gives them. */
    private static final int MAX_ORDER = 10;

    private static final int FRAME_SHIFT = 12;
    private static final long IN_FRAME = (1L << FRAME_SHIFT) - 1;

    /** Addresses, with the order in the bits inside a frame. */
    private final long[] frames = new long[MAX_FRAMES];

    private int frameCount;
    private long start;
    private long end;

    /** Makes an empty gather. */
    public IotlbGather() {
        reset();
    }

    /** Empties the gather; frees nothing, and so is the driver's to call. */
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
     * Leaves the frames of one table to be freed after the flush.
     *
     * @param physicalAddress of the first of {@code 2^order} frames of 4 KiB, aligned to their size
     * @param order 0 to 10
     * @return false when the gather is full: sync it first
     */
    public boolean addFrame(long physicalAddress, int order) {
        if (order < 0 || order > MAX_ORDER) {
            throw new IllegalArgumentException("order " + order + ", expected 0 to " + MAX_ORDER);
        }
        if ((physicalAddress & ((1L << (FRAME_SHIFT + order)) - 1)) != 0) {
            throw new IllegalArgumentException("a table of 2^" + order + " frames at 0x"
                    + Long.toHexString(physicalAddress) + ", expected alignment to its size");
        }
        if (frameCount == MAX_FRAMES) {
            return false;
        }
        frames[frameCount++] = physicalAddress | order;
        return true;
    }

    /**
     * Moves waiting tables to another gather of the same domain, as many as it has room for; ranges stay.
     *
     * @return whether no table waits here any more; else sync the other gather first
     */
    public boolean moveFramesTo(IotlbGather other) {
        int moved = Math.min(frameCount, MAX_FRAMES - other.frameCount);
        frameCount -= moved;
        System.arraycopy(frames, frameCount, other.frames, other.frameCount, moved);
        other.frameCount += moved;
        return frameCount == 0;
    }

    /** Returns the first byte of the range. */
    public long start() {
        return start;
    }

    /** Returns the last byte of the range, inclusive. */
    public long end() {
        return end;
    }

    /** Returns how many tables wait, of all orders. */
    public int frameCount() {
        return frameCount;
    }

    /** Returns how many frames of 4 KiB all waiting tables have. */
    public long totalFrames() {
        long total = 0;
        for (int i = 0; i < frameCount; i++) {
            total += 1L << order(i);
        }
        return total;
    }

    /** Returns the physical address of a waiting table's first frame. */
    public long frame(int index) {
        return waiting(index) & ~IN_FRAME;
    }

    /** Returns the order of a waiting table: it has {@code 2^order} frames of 4 KiB. */
    public int order(int index) {
        return (int) (waiting(index) & IN_FRAME);
    }

    private long waiting(int index) {
        if (index >= frameCount) {
            throw new IndexOutOfBoundsException("table " + index + " of " + frameCount);
        }
        return frames[index];
    }

    @Override
    public String toString() {
        return (hasRange() ? "[0x" + Long.toHexString(start) + ", 0x" + Long.toHexString(end) + "], " : "no range, ")
                + totalFrames() + " frames";
    }
}
