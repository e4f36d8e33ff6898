// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.verdict;

import java.util.Arrays;
import java.util.function.LongConsumer;
import org.iommu4j.sim.trace.Trace;
import org.jspecify.annotations.Nullable;

/**
 * The flat memory that readers are compared with: every write takes effect in event order, and earlier ones are
 * recorded. Words are 64 bits, aligned to 8; unwritten words are zero.
 *
 * <p>Drivers fill tables, so most words are written once and never judged. A write therefore costs a look-up in an
 * open-addressed table and three array stores, and no object.
 */
final class WriteHistory {
    private static final int NONE = -1;

    /**
     * A write to a word.
     *
     * @param at its event in the trace
     * @param value the whole word after it
     */
    record Write(int at, long value) {}

    private final Trace trace;

    /** Addresses of the words that were written; a slot is free where {@link #lastOfSlot} is {@link #NONE}. */
    private long[] words = new long[1 << 10];

    private int[] lastOfSlot = filled(words.length);
    private int wordCount;

    // The writes, in event order: the event, the word after it, and the earlier write to the same word.
    private int[] events = new int[1 << 10];
    private long[] values = new long[1 << 10];
    private int[] earlier = new int[1 << 10];
    private int writeCount;

    WriteHistory(Trace trace) {
        this.trace = trace;
    }

    /** Replays an event that wrote a word, or half of one. */
    void write(int event) {
        long address = trace.address(event) & -8L;
        int slot = slot(address);
        int last = lastOfSlot[slot];
        long value = trace.value(event);
        if (trace.has(event, Trace.HALF)) {
            int shift = (int) (trace.address(event) & 4) * 8;
            long half = 0xffffffffL << shift;
            value = ((last == NONE ? 0 : values[last]) & ~half) | (value << shift & half);
        }
        if (writeCount == events.length) {
            events = Arrays.copyOf(events, 2 * writeCount);
            values = Arrays.copyOf(values, 2 * writeCount);
            earlier = Arrays.copyOf(earlier, 2 * writeCount);
        }
        events[writeCount] = event;
        values[writeCount] = value;
        earlier[writeCount] = last;
        words[slot] = address;
        lastOfSlot[slot] = writeCount++;
        if (last == NONE && ++wordCount > words.length / 2) {
            grow();
        }
    }

    /** Returns the value that a reader of a word should see now. */
    long expected(long address) {
        int last = lastOfSlot[slot(address)];
        return last == NONE ? 0 : values[last];
    }

    /** Returns the last write to a word, null when it was never written. */
    @Nullable
    Write last(long address) {
        int last = lastOfSlot[slot(address)];
        return last == NONE ? null : new Write(events[last], values[last]);
    }

    /** Returns the last write that left a value in a word, null when none did. */
    @Nullable
    Write lastOf(long address, long value) {
        int write = lastOfSlot[slot(address)];
        while (write != NONE && values[write] != value) {
            write = earlier[write];
        }
        return write == NONE ? null : new Write(events[write], value);
    }

    /** Passes the address of each word that was written, in no order. */
    void forEachWord(LongConsumer action) {
        for (int slot = 0; slot < words.length; slot++) {
            if (lastOfSlot[slot] != NONE) {
                action.accept(words[slot]);
            }
        }
    }

    /** Returns the slot of a word, or the free one where it belongs. */
    private int slot(long address) {
        int mask = words.length - 1;
        int slot = (int) ((address * 0x9e3779b97f4a7c15L) >>> 32) & mask;
        while (lastOfSlot[slot] != NONE && words[slot] != address) {
            slot = slot + 1 & mask;
        }
        return slot;
    }

    private void grow() {
        long[] oldWords = words;
        int[] oldLast = lastOfSlot;
        words = new long[2 * oldWords.length];
        lastOfSlot = filled(words.length);
        for (int old = 0; old < oldWords.length; old++) {
            if (oldLast[old] != NONE) {
                int slot = slot(oldWords[old]);
                words[slot] = oldWords[old];
                lastOfSlot[slot] = oldLast[old];
            }
        }
    }

    private static int[] filled(int length) {
        int[] none = new int[length];
        Arrays.fill(none, NONE);
        return none;
    }
}
