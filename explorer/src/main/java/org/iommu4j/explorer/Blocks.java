// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.ArrayDeque;

/** Equal pieces of memory for the frontiers of one worker, which are used again and again. */
final class Blocks {
    /** Words of a block: 64 KiB. */
    static final int WORDS = 1 << 13;

    private final long limit;
    private final ArrayDeque<long[]> free = new ArrayDeque<>();
    private int used;

    /**
     * Makes a pool.
     *
     * @param limit bytes from which on it is full
     */
    Blocks(long limit) {
        this.limit = limit;
    }

    long[] take() {
        used++;
        long[] block = free.poll();
        return block == null ? new long[WORDS] : block;
    }

    void give(long[] block) {
        used--;
        free.push(block);
    }

    /** Returns whether a full block should leave memory. */
    boolean isFull() {
        return (long) used * WORDS * Long.BYTES > limit;
    }

    long bytes() {
        return (long) (used + free.size()) * WORDS * Long.BYTES;
    }
}
