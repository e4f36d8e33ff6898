// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.benchmarks;

import org.iommu4j.platform.support.FlatMemory;

/** The limits: what the drivers and units do, written by hand for one case and one kind of memory, without refusals. */
final class ByHand {
    private static final long ADDRESS = 0x000ffffffffff000L;
    private static final long FAULT = -1L;
    private static final int WORDS = 512;

    private ByHand() {}

    /** Reads through a VT-d second stage of 4 levels. */
    static long walkVtd(FlatMemory memory, long root, long iova) {
        long table = root;
        for (int shift = 39; ; shift -= 9) {
            long entry = memory.load(table + (((iova >>> shift) & 511) << 3));
            if ((entry & 1) == 0) {
                return FAULT;
            }
            table = entry & ADDRESS;
            if (shift == 12 || (entry & 0x80) != 0) {
                return table | (iova & ((1L << shift) - 1));
            }
        }
    }

    /** Reads through an AMD host table of 4 levels. */
    static long walkAmd(FlatMemory memory, long root, long iova) {
        long table = root;
        for (int shift = 39; ; shift -= 9) {
            long entry = memory.load(table + (((iova >>> shift) & 511) << 3));
            if ((entry & (1L | 1L << 61)) != (1L | 1L << 61)) {
                return FAULT;
            }
            table = entry & ADDRESS;
            if ((entry >>> 9 & 7) == 0) {
                return table | (iova & ((1L << shift) - 1));
            }
        }
    }

    /** Walks to the table of an address and changes one entry that has an expected present bit. */
    static boolean change(FlatMemory memory, long root, int bottom, long iova, boolean present, long value) {
        long table = root;
        for (int shift = 39; shift > bottom; shift -= 9) {
            long entry = memory.load(table + (((iova >>> shift) & 511) << 3));
            if ((entry & 3) == 0) {
                return false;
            }
            table = entry & ADDRESS;
        }
        long at = table + (((iova >>> bottom) & 511) << 3);
        if ((memory.load(at) & 3) != 0 != present) {
            return false;
        }
        memory.store(at, value);
        return true;
    }

    /** Stores a run of entries into a frame, whose first word may be anywhere in it. */
    static void storeRun(long[] frame, int from, int count, long first, long increment) {
        long value = first;
        for (int i = from; i < from + count; i++) {
            frame[i & (WORDS - 1)] = value;
            value += increment;
        }
    }
}
