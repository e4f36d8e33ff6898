// SPDX-License-Identifier: Apache-2.0
package com.example.minimal.sim;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLongArray;
import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.StateDigest;

/**
 * Words of page tables that the unit has read, by top table, address and level; those of the device table too, with
 * each requester id as the number of a page.
 *
 * <p>Any thread reads without waiting. A slot has two halves of a key, each combined with the word, and the word: what
 * two writers left mixed matches no key. A word that was read from memory before an invalidation began is not put in.
 */
final class EntryCache {
    /** Stands for the device table among top tables. */
    static final long DEVICES = -1;

    private static final int SLOTS = 1024;

    private final AtomicLongArray slots = new AtomicLongArray(3 * SLOTS);
    private final AtomicBoolean changing = new AtomicBoolean();
    private final Epoch epoch = new Epoch();

    /** Returns the number that {@link #put} wants, taken before memory is read. */
    long now() {
        return epoch.current();
    }

    /** Returns log2 of the bytes that a word of a level covers. */
    static int shift(int level) {
        return 12 + (level - 1) * 9;
    }

    /** Returns what a word of a table is kept by: the part of the address that leads to it, and its level. */
    static long index(long address, int level) {
        return address >>> shift(level) << 2 | level;
    }

    private static int slot(long table, long index) {
        return (int) (StateDigest.mix(table, index) >>> 32 & (SLOTS - 1)) * 3;
    }

    /** Returns a word, or 0. */
    long get(long table, long index) {
        int slot = slot(table, index);
        long word = slots.get(slot + 2);
        return (slots.get(slot) ^ word) == table && (slots.get(slot + 1) ^ word) == index ? word : 0;
    }

    /** Keeps a word, unless an invalidation began since, or another thread is changing the cache. */
    void put(long table, long index, long word, long since) {
        if (changing.compareAndSet(false, true)) {
            if (epoch.current() == since) {
                set(slot(table, index), table, index, word);
            }
            changing.set(false);
        }
    }

    private void set(int slot, long table, long index, long word) {
        slots.set(slot, table ^ word);
        slots.set(slot + 1, index ^ word);
        slots.set(slot + 2, word);
    }

    /** Forgets the words of a table whose addresses meet a range, or of all tables. */
    void forget(boolean all, long table, long first, long last) {
        epoch.advance();
        while (!changing.compareAndSet(false, true)) {
            Thread.onSpinWait();
        }
        for (int slot = 0; slot < 3 * SLOTS; slot += 3) {
            long word = slots.get(slot + 2);
            long index = slots.get(slot + 1) ^ word;
            int shift = shift((int) index & 3);
            boolean meets = index >>> 2 >= first >>> shift && index >>> 2 <= last >>> shift;
            if (word != 0 && (all || ((slots.get(slot) ^ word) == table && meets))) {
                set(slot, 0, 0, 0);
            }
        }
        changing.set(false);
    }

    void addTo(StateDigest digest) {
        for (int i = 0; i < slots.length(); i++) {
            digest.add(slots.get(i));
        }
    }
}
