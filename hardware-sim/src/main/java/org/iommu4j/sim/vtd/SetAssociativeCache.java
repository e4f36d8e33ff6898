// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.StateDigest;

/**
 * A cache of {@code long} keys and values in sets of three, which many threads read without a lock.
 *
 * <p>A set is one run of eight words: a sequence number, three pairs of key and value, and the way to replace next. A
 * writer first makes the number odd; a reader that sees it odd or changed has a miss. A miss is always allowed, since
 * the tables are walked after it.
 *
 * <p>Invalidation must also reach a walk in progress: {@link #fill} drops a value read in an earlier {@link Epoch}, and
 * an invalidation begins a new epoch before it reads any set.
 */
final class SetAssociativeCache {
    /** The result of a look-up when nothing is cached; never a value. */
    static final long MISS = 0;

    private static final int WAYS = 3;
    private static final int SET_SHIFT = 3;
    private static final int NEXT_WAY = 7;

    private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(long[].class);
    private final long[] words;
    private final int setMask;
    private final Epoch epoch;
    private volatile boolean occupied;

    /**
     * Makes an empty cache.
     *
     * @param sets a power of two
     * @param epoch counts invalidations of this cache and others
     */
    SetAssociativeCache(int sets, Epoch epoch) {
        this.epoch = epoch;
        words = new long[sets << SET_SHIFT];
        setMask = sets - 1;
    }

    /**
     * Looks up a key.
     *
     * @param hash selects the set
     * @return the value, or {@link #MISS}
     */
    long lookup(int hash, long key) {
        long[] w = words;
        int set = (hash & setMask) << SET_SHIFT;
        long sequence = (long) WORD.getAcquire(w, set);
        long value;
        if (w[set + 1] == key) {
            value = w[set + 2];
        } else if (w[set + 3] == key) {
            value = w[set + 4];
        } else if (w[set + 5] == key) {
            value = w[set + 6];
        } else {
            return MISS;
        }
        VarHandle.loadLoadFence();
        return (sequence & 1) == 0 && (long) WORD.getOpaque(w, set) == sequence ? value : MISS;
    }

    /**
     * Caches a value that was read from the tables in an epoch, unless that epoch is over or the set is busy.
     *
     * <p>Threads that miss together may fill a key twice; an invalidation finds both.
     */
    void fill(int hash, long key, long value, long readInEpoch) {
        int set = (hash & setMask) << SET_SHIFT;
        long sequence = (long) WORD.getAcquire(words, set);
        if ((sequence & 1) != 0 || !WORD.compareAndSet(words, set, sequence, sequence + 1)) {
            return;
        }
        // Before the epoch is checked: this must see an invalidation that finds the cache empty.
        if (!occupied) {
            occupied = true;
        }
        if (epoch.current() == readInEpoch) {
            int way = wayToFill(set);
            words[set + 1 + 2 * way] = key;
            words[set + 2 + 2 * way] = value;
        }
        WORD.setRelease(words, set, sequence + 2);
    }

    private int wayToFill(int set) {
        for (int way = 0; way < WAYS; way++) {
            if (words[set + 1 + 2 * way] == 0) {
                return way;
            }
        }
        int way = (int) words[set + NEXT_WAY];
        words[set + NEXT_WAY] = way == WAYS - 1 ? 0 : way + 1;
        return way;
    }

    /** Drops one key. */
    void remove(int hash, long key) {
        if (beginInvalidation()) {
            clearMatches((hash & setMask) << SET_SHIFT, -1L, key, 0, 0);
        }
    }

    /** Drops every entry whose key and value agree with the given ones in the bits of the masks. */
    void removeMatching(long keyMask, long key, long valueMask, long value) {
        if (beginInvalidation()) {
            for (int set = 0; set < words.length; set += 1 << SET_SHIFT) {
                clearMatches(set, keyMask, key, valueMask, value);
            }
        }
    }

    /** Drops everything. */
    void clear() {
        epoch.advance();
        if (occupied) {
            // Before the sets: a concurrent fill sets the flag again.
            occupied = false;
            for (int set = 0; set < words.length; set += 1 << SET_SHIFT) {
                clearMatches(set, 0, 0, 0, 0);
            }
        }
    }

    /** Drops everything and resets the state of replacement. For one thread only. */
    void reset() {
        if (occupied) {
            Arrays.fill(words, 0);
            occupied = false;
        }
    }

    private boolean beginInvalidation() {
        epoch.advance();
        return occupied;
    }

    private void clearMatches(int set, long keyMask, long key, long valueMask, long value) {
        long sequence = lock(set);
        for (int way = 0; way < WAYS; way++) {
            int at = set + 1 + 2 * way;
            if (words[at] != 0 && ((words[at] ^ key) & keyMask) == 0 && ((words[at + 1] ^ value) & valueMask) == 0) {
                words[at] = 0;
                words[at + 1] = 0;
            }
        }
        WORD.setRelease(words, set, sequence + 2);
    }

    private long lock(int set) {
        while (true) {
            long sequence = (long) WORD.getAcquire(words, set);
            if ((sequence & 1) == 0 && WORD.compareAndSet(words, set, sequence, sequence + 1)) {
                return sequence;
            }
            Thread.onSpinWait();
        }
    }

    /** Adds the entries and the state of their replacement. */
    void addTo(StateDigest digest) {
        if (occupied) {
            for (int i = 0; i < words.length; i++) {
                // Sequence numbers are left out: they only count changes.
                if ((i & NEXT_WAY) != 0 && words[i] != 0) {
                    digest.add(i);
                    digest.add(words[i]);
                }
            }
        }
        digest.add(-1L);
    }
}
