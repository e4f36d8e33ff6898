// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.StateDigest;

/**
 * A direct-mapped cache of entries that the unit read from memory; the rules of lock-free reading are all here.
 *
 * <p>A slot holds a key, which is 0 when the slot is empty, and two words. Its sequence number is odd while the slot
 * changes. A reader reads the sequence, then the words, then calls {@link #unchanged}.
 *
 * <p>An entry may already be outdated when it is put: it may come from before an invalidation that has since ended. So
 * the thread that fills the cache reads the {@link Epoch} before memory, and {@link #put} drops the entry when an
 * invalidation began in between. The two can't miss each other: an invalidation raises the epoch before it reads the
 * slots, and a put makes the slot's sequence odd before it reads the epoch.
 */
final class TranslationCache {
    private static final int WORDS_PER_SLOT = 4;
    private static final int KEY = 1;
    private static final int FIRST = 2;
    private static final int SECOND = 3;

    private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(long[].class);

    private final int slots;
    private final long[] words;

    private final Epoch epoch;

    /** Whether anything was put since {@link #reset}, so that clearing an unused cache costs nothing. */
    private volatile boolean used;

    /**
     * Makes an empty cache.
     *
     * @param slots a power of two
     * @param epoch advanced by invalidations of this cache and its neighbours
     */
    TranslationCache(int slots, Epoch epoch) {
        this.slots = slots;
        this.epoch = epoch;
        this.words = new long[slots * WORDS_PER_SLOT];
    }

    int slots() {
        return slots;
    }

    /** Returns the slot for a key's hash. */
    int slot(long hash) {
        return (int) hash & (slots - 1);
    }

    /** Begins reading a slot; the result is for {@link #unchanged}. */
    long sequence(int slot) {
        return (long) WORD.getAcquire(words, slot * WORDS_PER_SLOT);
    }

    long key(int slot) {
        return words[slot * WORDS_PER_SLOT + KEY];
    }

    long first(int slot) {
        return words[slot * WORDS_PER_SLOT + FIRST];
    }

    long second(int slot) {
        return words[slot * WORDS_PER_SLOT + SECOND];
    }

    /** Returns whether the words read since {@link #sequence} belong together. */
    boolean unchanged(int slot, long sequence) {
        VarHandle.acquireFence();
        return (sequence & 1) == 0 && words[slot * WORDS_PER_SLOT] == sequence;
    }

    /** Fills a slot, unless an invalidation began since the epoch or another thread is filling the slot. */
    void put(int slot, long key, long first, long second, long sinceEpoch) {
        int at = slot * WORDS_PER_SLOT;
        long sequence = (long) WORD.getVolatile(words, at);
        if ((sequence & 1) != 0 || !WORD.compareAndSet(words, at, sequence, sequence + 1)) {
            return;
        }
        if (!used) {
            used = true; // before reading the epoch, which an invalidation raises before it reads this flag
        }
        if (epoch.current() == sinceEpoch) {
            WORD.setOpaque(words, at + KEY, key);
            WORD.setOpaque(words, at + FIRST, first);
            WORD.setOpaque(words, at + SECOND, second);
        }
        WORD.setRelease(words, at, sequence + 2);
    }

    /** Begins an invalidation: entries read from memory before now can no longer be put. */
    void beginInvalidation() {
        epoch.advance();
    }

    /** Returns a slot's key, waiting for the thread that fills it, if any. For an invalidation. */
    long settledKey(int slot) {
        int at = slot * WORDS_PER_SLOT;
        while (((long) WORD.getVolatile(words, at) & 1) != 0) {
            Thread.onSpinWait();
        }
        return key(slot);
    }

    /** Locks a slot, so that it can be read and emptied, until {@link #unlock}. */
    void lock(int slot) {
        int at = slot * WORDS_PER_SLOT;
        while (true) {
            long sequence = (long) WORD.getVolatile(words, at);
            if ((sequence & 1) == 0 && WORD.compareAndSet(words, at, sequence, sequence + 1)) {
                return;
            }
            Thread.onSpinWait();
        }
    }

    /** Changes the second word of a slot that is locked. */
    void setSecond(int slot, long value) {
        WORD.setOpaque(words, slot * WORDS_PER_SLOT + SECOND, value);
    }

    /** Empties a slot that is locked. */
    void empty(int slot) {
        WORD.setOpaque(words, slot * WORDS_PER_SLOT + KEY, 0L);
    }

    /** Unlocks a slot. */
    void unlock(int slot) {
        int at = slot * WORDS_PER_SLOT;
        WORD.setRelease(words, at, (long) WORD.getOpaque(words, at) + 1);
    }

    /** Empties all slots. */
    void clear() {
        beginInvalidation();
        if (used) {
            for (int slot = 0; slot < slots; slot++) {
                if (settledKey(slot) != 0) {
                    lock(slot);
                    empty(slot);
                    unlock(slot);
                }
            }
        }
    }

    /** Empties all slots while no thread translates. */
    void reset() {
        clear();
        used = false;
    }

    /** Returns whether the cache was always empty; an invalidation asks after it has begun. */
    boolean unused() {
        return !used;
    }

    void addTo(StateDigest digest) {
        if (used) {
            for (int slot = 0; slot < slots; slot++) {
                long key = key(slot);
                if (key != 0) {
                    digest.add(slot);
                    digest.add(key);
                    digest.add(first(slot));
                    digest.add(second(slot));
                }
            }
        }
    }
}
