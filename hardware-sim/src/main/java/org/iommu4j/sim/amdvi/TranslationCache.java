// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.StateDigest;

/**
 * A direct-mapped cache of what the unit read from memory: the one place where its lock-free reading is thought out.
 *
 * <p>A slot is a key, which is 0 when the slot is empty, and two words, under a sequence number that is odd while the
 * slot changes. A reader takes the sequence, then the words, then asks {@link #unchanged}.
 *
 * <p>What is put in may be outdated by then: it was read from memory before an invalidation that has since ended. So
 * whoever fills the cache takes the {@link Epoch} before reading memory, and {@link #put} drops the entry when an
 * invalidation began in between. The two can't miss each other: an invalidation raises the epoch before it looks at the
 * slots, a put makes the slot's sequence odd before it looks at the epoch.
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

    /** Whether anything was put in since {@link #reset}, so that clearing an unused cache costs nothing. */
    private volatile boolean used;

    /**
     * Makes an empty cache.
     *
     * @param slots a power of two
     * @param epoch which invalidations of this cache and its neighbours advance
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

    /** Returns whether what was read since {@link #sequence} belongs together. */
    boolean unchanged(int slot, long sequence) {
        VarHandle.acquireFence();
        return (sequence & 1) == 0 && words[slot * WORDS_PER_SLOT] == sequence;
    }

    /** Fills a slot, unless an invalidation began since the epoch or another thread fills the slot right now. */
    void put(int slot, long key, long first, long second, long sinceEpoch) {
        int at = slot * WORDS_PER_SLOT;
        long sequence = (long) WORD.getVolatile(words, at);
        if ((sequence & 1) != 0 || !WORD.compareAndSet(words, at, sequence, sequence + 1)) {
            return;
        }
        if (!used) {
            used = true; // before looking at the epoch, as an invalidation raises it before looking here
        }
        if (epoch.current() == sinceEpoch) {
            WORD.setOpaque(words, at + KEY, key);
            WORD.setOpaque(words, at + FIRST, first);
            WORD.setOpaque(words, at + SECOND, second);
        }
        WORD.setRelease(words, at, sequence + 2);
    }

    /** Begins an invalidation: what was read from memory before now can't be put in any more. */
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

    /** Takes a slot, so that it can be looked at and emptied; {@link #unlock} gives it back. */
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

    /** Gives a slot back. */
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

    /** Returns whether there was never anything in the cache; an invalidation asks after it has begun. */
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
