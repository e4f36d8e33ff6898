// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

import static org.iommu4j.sim.memory.Dram.LINE_BYTES;

import org.iommu4j.sim.spi.StateDigest;
import org.jspecify.annotations.Nullable;

/** One set-associative cache: an array of sets that are created on first use. */
final class Cache {
    private static final int LINE_SHIFT = Integer.numberOfTrailingZeros(LINE_BYTES);

    final String name;

    /** Number of the CPU whose private cache it is, or -1 for the shared one. */
    final int cpu;

    private final int ways;
    private final int setMask;
    private final @Nullable CacheSet[] sets;

    /** Sets that may hold lines. */
    private @Nullable CacheSet listed;

    Cache(String name, int cpu, int setCount, int ways) {
        this.name = name;
        this.cpu = cpu;
        this.ways = ways;
        this.setMask = setCount - 1;
        this.sets = new CacheSet[setCount];
    }

    /** Returns a line's set, or null when it was never used. */
    @Nullable
    CacheSet setIfTouched(long line) {
        return sets[(int) (line >>> LINE_SHIFT) & setMask];
    }

    /** Returns a line's set, created if needed, ready to take the line. */
    CacheSet set(long line) {
        CacheSet set = setIfTouched(line);
        return set != null && set.listed ? set : list(line);
    }

    private CacheSet list(long line) {
        int index = (int) (line >>> LINE_SHIFT) & setMask;
        CacheSet set = sets[index];
        if (set == null) {
            set = new CacheSet(ways);
            sets[index] = set;
        }
        set.listed = true;
        set.next = listed;
        listed = set;
        return set;
    }

    /** Returns the first set that may hold lines; the others follow by {@link CacheSet#next}. */
    @Nullable
    CacheSet firstListed() {
        return listed;
    }

    /** Drops all lines. */
    void clear() {
        CacheSet set = listed;
        while (set != null) {
            CacheSet next = set.next;
            set.clear();
            set.listed = false;
            set.next = null;
            set = next;
        }
        listed = null;
    }

    void addTo(StateDigest digest) {
        // A sum, since the order in which sets were first used must not matter.
        long sum = 0;
        for (CacheSet set = listed; set != null; set = set.next) {
            sum += set.hash();
        }
        digest.add(sum);
    }
}
