// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

/**
 * The ranges that one CPU has unmapped and that wait for a flush, oldest first.
 *
 * <p>Each has the number of flushes that had been started when it came: a later one that completes frees it. Not
 * thread-safe. Source: {@code struct iova_fq}; as there, one place of the ring stays empty.
 */
final class FlushQueue {
    /** Places, a power of two. Source: {@code IOVA_DEFAULT_FQ_SIZE}. */
    static final int SIZE = 256;

    private final long[] iovas = new long[SIZE];
    private final long[] sizes = new long[SIZE];
    private final long[] flushes = new long[SIZE];
    private int head;
    private int tail;

    /** Returns whether the next range has no place. */
    boolean isFull() {
        return ((tail + 1) & (SIZE - 1)) == head;
    }

    /**
     * Adds a range.
     *
     * @param flushesStarted so far
     */
    void add(long iova, long size, long flushesStarted) {
        iovas[tail] = iova;
        sizes[tail] = size;
        flushes[tail] = flushesStarted;
        tail = (tail + 1) & (SIZE - 1);
    }

    /** Returns whether the oldest range is flushed: the newest flush that completed began after the range came. */
    boolean hasFlushed(long flushCompleted) {
        return head != tail && flushes[head] < flushCompleted;
    }

    /** Returns where the oldest range begins. */
    long iova() {
        return iovas[head];
    }

    /** Returns the bytes of the oldest range. */
    long size() {
        return sizes[head];
    }

    /** Removes the oldest range. */
    void remove() {
        head = (head + 1) & (SIZE - 1);
    }

    /** Returns how many ranges wait. */
    int waiting() {
        return (tail - head) & (SIZE - 1);
    }
}
