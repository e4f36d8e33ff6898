// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.StateDigest;

/**
 * Like {@link SetAssociativeCache}, for entries of four words: a key, a tag (a second key, or used for invalidation)
 * and two values.
 *
 * <p>A set is one run of sixteen words: a sequence number, three entries, and the way to replace next.
 */
final class WideCache {
    /** The result of a look-up; the caller reuses it, so that nothing is allocated. */
    static final class Entry {
        long tag;
        long first;
        long second;
    }

    private static final int WAYS = 3;
    private static final int SET_SHIFT = 4;
    private static final int ENTRY_WORDS = 4;
    private static final int NEXT_WAY = 15;

    private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(long[].class);
    private final int sets;
    private final Epoch epoch;

    /** Allocated at the first fill: most units are never in scalable mode. */
    private volatile long[] words = new long[0];

    /**
     * Makes an empty cache.
     *
     * @param sets a power of two
     * @param epoch counts invalidations of this cache and others
     */
    WideCache(int sets, Epoch epoch) {
        this.sets = sets;
        this.epoch = epoch;
    }

    /**
     * Looks up a key, and its tag under a mask.
     *
     * @param into receives the entry, and may be changed when none is found
     * @return whether it was found
     */
    boolean lookup(int hash, long key, long tagMask, long tag, Entry into) {
        long[] w = words;
        if (w.length == 0) {
            return false;
        }
        int set = (hash & (sets - 1)) << SET_SHIFT;
        long sequence = (long) WORD.getAcquire(w, set);
        boolean found = false;
        for (int at = set + 1; at < set + 1 + WAYS * ENTRY_WORDS; at += ENTRY_WORDS) {
            if (w[at] == key && ((w[at + 1] ^ tag) & tagMask) == 0) {
                into.tag = w[at + 1];
                into.first = w[at + 2];
                into.second = w[at + 3];
                found = true;
                break;
            }
        }
        VarHandle.loadLoadFence();
        return found && (sequence & 1) == 0 && (long) WORD.getOpaque(w, set) == sequence;
    }

    /** Caches an entry read from the tables in an epoch, unless that epoch is over or the set is busy. */
    void fill(int hash, long key, long tag, long first, long second, long readInEpoch) {
        long[] w = words.length == 0 ? allocate() : words;
        int set = (hash & (sets - 1)) << SET_SHIFT;
        long sequence = (long) WORD.getAcquire(w, set);
        if ((sequence & 1) != 0 || !WORD.compareAndSet(w, set, sequence, sequence + 1)) {
            return;
        }
        if (epoch.current() == readInEpoch) {
            int at = set + 1 + ENTRY_WORDS * wayToFill(w, set, key, tag);
            w[at] = key;
            w[at + 1] = tag;
            w[at + 2] = first;
            w[at + 3] = second;
        }
        WORD.setRelease(w, set, sequence + 2);
    }

    private static int wayToFill(long[] w, int set, long key, long tag) {
        int free = -1;
        for (int way = WAYS - 1; way >= 0; way--) {
            int at = set + 1 + ENTRY_WORDS * way;
            if (w[at] == key && w[at + 1] == tag) {
                return way;
            }
            if (w[at] == 0) {
                free = way;
            }
        }
        if (free >= 0) {
            return free;
        }
        int way = (int) w[set + NEXT_WAY];
        w[set + NEXT_WAY] = way == WAYS - 1 ? 0 : way + 1;
        return way;
    }

    private synchronized long[] allocate() {
        if (words.length == 0) {
            words = new long[sets << SET_SHIFT];
        }
        return words;
    }

    /** Drops every entry whose key and tag agree with the given ones in the bits of the masks. */
    void removeMatching(long keyMask, long key, long tagMask, long tag) {
        epoch.advance();
        long[] w = words;
        for (int set = 0; set < w.length; set += 1 << SET_SHIFT) {
            long sequence = lock(w, set);
            for (int at = set + 1; at < set + 1 + WAYS * ENTRY_WORDS; at += ENTRY_WORDS) {
                if (w[at] != 0 && ((w[at] ^ key) & keyMask) == 0 && ((w[at + 1] ^ tag) & tagMask) == 0) {
                    Arrays.fill(w, at, at + ENTRY_WORDS, 0);
                }
            }
            WORD.setRelease(w, set, sequence + 2);
        }
    }

    /** Drops everything. */
    void clear() {
        removeMatching(0, 0, 0, 0);
    }

    private static long lock(long[] w, int set) {
        while (true) {
            long sequence = (long) WORD.getAcquire(w, set);
            if ((sequence & 1) == 0 && WORD.compareAndSet(w, set, sequence, sequence + 1)) {
                return sequence;
            }
            Thread.onSpinWait();
        }
    }

    /** Drops everything and resets the state of replacement. For one thread only. */
    void reset() {
        words = new long[0];
    }

    /** Adds the entries and the state of their replacement. */
    void addTo(StateDigest digest) {
        long[] w = words;
        for (int i = 0; i < w.length; i++) {
            // Sequence numbers are left out: they only count changes.
            if ((i & NEXT_WAY) != 0 && w[i] != 0) {
                digest.add(i);
                digest.add(w[i]);
            }
        }
        digest.add(-1L);
    }
}
