// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import org.iommu4j.platform.SystemMemory;

/** Bytes of memory that is accessed in words; the lowest byte of a word comes first. */
final class MemoryBytes {
    private static final int WORD = 8;

    private MemoryBytes() {}

    /** Copies bytes; the ranges do not overlap, and bytes beside the target keep what others store there meanwhile. */
    static void copy(SystemMemory memory, long from, long to, long size) {
        long done = 0;
        while (done < size) {
            int count = (int) Math.min(WORD - ((to + done) & (WORD - 1)), size - done);
            store(memory, to + done, count, load(memory, from + done, count));
            done += count;
        }
    }

    /** Stores zeros. */
    static void zero(SystemMemory memory, long start, long size) {
        long done = 0;
        while (done < size) {
            int count = (int) Math.min(WORD - ((start + done) & (WORD - 1)), size - done);
            store(memory, start + done, count, 0);
            done += count;
        }
    }

    private static long load(SystemMemory memory, long address, int count) {
        int skipped = (int) (address & (WORD - 1));
        long word = memory.load(address - skipped) >>> (8 * skipped);
        return skipped + count <= WORD ? word : word | memory.load(address - skipped + WORD) << (8 * (WORD - skipped));
    }

    private static void store(SystemMemory memory, long address, int count, long value) {
        if (count == WORD) {
            memory.store(address, value);
            return;
        }
        int skipped = (int) (address & (WORD - 1));
        long place = ((1L << (8 * count)) - 1) << (8 * skipped);
        long old;
        do {
            old = memory.load(address - skipped);
        } while (!memory.compareAndSet(address - skipped, old, (old & ~place) | ((value << (8 * skipped)) & place)));
    }
}
