// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

import static org.iommu4j.sim.memory.Dram.LINE_BYTES;
import static org.iommu4j.sim.memory.Dram.LINE_WORDS;

import java.util.Arrays;
import org.iommu4j.sim.spi.StateDigest;
import org.jspecify.annotations.Nullable;

/** The lines of one set: addresses with states, data, and when each was last used. */
final class CacheSet {
    /** States, as the low bits of a line's address; an invalid line's whole entry is 0. */
    static final int INVALID = 0;

    static final int SHARED = 1;
    static final int EXCLUSIVE = 2;
    static final int MODIFIED = 3;

    private static final long STATE = LINE_BYTES - 1L;

    final long[] data;
    private final long[] entries;
    private final long[] lastUse;

    /** Whether the set is in its cache's list of sets that may hold lines, and the next set in that list. */
    boolean listed;

    @Nullable
    CacheSet next;

    CacheSet(int ways) {
        entries = new long[ways];
        lastUse = new long[ways];
        data = new long[ways * LINE_WORDS];
    }

    int ways() {
        return entries.length;
    }

    /** Returns the way that holds a line, or -1. */
    int find(long line) {
        long[] all = entries;
        for (int way = 0; way < all.length; way++) {
            long difference = all[way] ^ line;
            if (difference != 0 && (difference & ~STATE) == 0) {
                return way;
            }
        }
        return -1;
    }

    /** Returns the index in {@link #data} of the word at an address, in the way that holds its line. */
    static int word(int way, long physicalAddress) {
        return way * LINE_WORDS + ((int) (physicalAddress >>> 3) & (LINE_WORDS - 1));
    }

    int state(int way) {
        return (int) (entries[way] & STATE);
    }

    long line(int way) {
        return entries[way] & ~STATE;
    }

    void setState(int way, int state) {
        entries[way] = state == INVALID ? 0 : line(way) | state;
    }

    void setLine(int way, long line, int state) {
        entries[way] = line | state;
    }

    void use(int way, long now) {
        lastUse[way] = now;
    }

    /** Returns the first way without a line, or -1. */
    int free() {
        for (int way = 0; way < entries.length; way++) {
            if (entries[way] == 0) {
                return way;
            }
        }
        return -1;
    }

    /** Returns the way with a rank in the order of last use, 0 for the latest; the set is full. */
    int atRank(int rank) {
        return rank == entries.length - 1 ? oldest() : search(rank);
    }

    private int oldest() {
        int oldest = 0;
        for (int way = 1; way < lastUse.length; way++) {
            if (lastUse[way] < lastUse[oldest]) {
                oldest = way;
            }
        }
        return oldest;
    }

    private int search(int rank) {
        for (int way = 0; way < entries.length; way++) {
            if (entries[way] != 0 && rank(way) == rank) {
                return way;
            }
        }
        throw new IllegalStateException("a set of " + entries.length + " lines has none of rank " + rank);
    }

    private int rank(int way) {
        int later = 0;
        for (int other = 0; other < entries.length; other++) {
            if (entries[other] != 0 && lastUse[other] > lastUse[way]) {
                later++;
            }
        }
        return later;
    }

    void clear() {
        Arrays.fill(entries, 0);
    }

    /** Hashes lines, states and data in the order of use: the way that holds a line does not affect later events. */
    long hash() {
        int lines = 0;
        for (long entry : entries) {
            if (entry != 0) {
                lines++;
            }
        }
        long hash = 0;
        for (int rank = 0; rank < lines; rank++) {
            int way = search(rank);
            hash = StateDigest.mix(hash, entries[way]);
            for (int word = 0; word < LINE_WORDS; word++) {
                hash = StateDigest.mix(hash, data[way * LINE_WORDS + word]);
            }
        }
        return hash;
    }
}
