// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.verdict;

import java.util.Arrays;
import java.util.function.LongConsumer;
import org.iommu4j.sim.support.LongTable;
import org.iommu4j.sim.trace.Trace;
import org.jspecify.annotations.Nullable;

/**
 * The flat memory that readers are compared with: every write takes effect in event order, and earlier ones are
 * recorded. Words are 64 bits, aligned to 8; unwritten words are zero.
 *
 * <p>Drivers fill tables, so most words are written once and never judged. A write therefore makes no object.
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

    /** The last write to each word, by its address. */
    private final LongTable last = new LongTable();

    // The writes, in event order: the event, the word's address, the word after it, and the earlier write to it.
    private int[] events = new int[1 << 10];
    private long[] addresses = new long[1 << 10];
    private long[] values = new long[1 << 10];
    private int[] earlier = new int[1 << 10];
    private int count;

    WriteHistory(Trace trace) {
        this.trace = trace;
    }

    /** Replays an event that wrote a word, or half of one. */
    void write(int event) {
        long address = trace.address(event) & -8L;
        int before = lastWrite(address);
        long value = trace.value(event);
        if (trace.has(event, Trace.HALF)) {
            int shift = (int) (trace.address(event) & 4) * 8;
            long half = 0xffffffffL << shift;
            value = ((before == NONE ? 0 : values[before]) & ~half) | (value << shift & half);
        }
        if (count == events.length) {
            events = Arrays.copyOf(events, 2 * count);
            addresses = Arrays.copyOf(addresses, 2 * count);
            values = Arrays.copyOf(values, 2 * count);
            earlier = Arrays.copyOf(earlier, 2 * count);
        }
        events[count] = event;
        addresses[count] = address;
        values[count] = value;
        earlier[count] = before;
        last.put(address, count++);
    }

    /** Returns the value that a reader of a word should see now. */
    long expected(long address) {
        int write = lastWrite(address);
        return write == NONE ? 0 : values[write];
    }

    /** Returns the last write to a word, null when it was never written. */
    @Nullable
    Write last(long address) {
        int write = lastWrite(address);
        return write == NONE ? null : new Write(events[write], values[write]);
    }

    /** Returns the last write that left a value in a word, null when none did. */
    @Nullable
    Write lastOf(long address, long value) {
        int write = lastWrite(address);
        while (write != NONE && values[write] != value) {
            write = earlier[write];
        }
        return write == NONE ? null : new Write(events[write], value);
    }

    /** Passes the address of each word that was written, once, in no order. */
    void forEachWord(LongConsumer action) {
        for (int write = 0; write < count; write++) {
            if (earlier[write] == NONE) {
                action.accept(addresses[write]);
            }
        }
    }

    private int lastWrite(long address) {
        return (int) last.get(address, NONE);
    }
}
