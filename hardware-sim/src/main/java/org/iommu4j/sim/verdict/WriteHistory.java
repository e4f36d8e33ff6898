// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.verdict;

import static org.iommu4j.sim.verdict.EventTable.NONE;

import java.util.function.LongConsumer;
import org.iommu4j.sim.trace.Trace;
import org.jspecify.annotations.Nullable;

/**
 * The flat memory that readers are compared with: every write takes effect in event order, and earlier ones are
 * recorded. Words are 64 bits, aligned to 8; unwritten words are zero.
 *
 * <p>Drivers fill tables, so most words are written once and never judged. A write therefore makes no object.
 */
final class WriteHistory {
    /**
     * A write to a word.
     *
     * @param at its event in the trace
     * @param value the whole word after it
     */
    record Write(int at, long value) {}

    private final Trace trace;

    /** The last write to each word. */
    private final EventTable last = EventTable.ofWords();

    /** For each event that wrote, the whole word after it. */
    private final long[] values;

    /** For each event that wrote, the earlier write to its word, or {@link EventTable#NONE}. */
    private final int[] earlier;

    /** Makes the memory before the first event of a trace; events that the trace gets later are not for it. */
    WriteHistory(Trace trace) {
        this.trace = trace;
        values = new long[trace.size()];
        earlier = new int[trace.size()];
    }

    /** Replays an event that wrote a word, or half of one. */
    void write(int event) {
        long address = trace.address(event);
        int before = last.get(address);
        long value = trace.value(event);
        if (trace.has(event, Trace.HALF)) {
            int shift = (int) (address & 4) * 8;
            long half = 0xffffffffL << shift;
            value = ((before == NONE ? 0 : values[before]) & ~half) | (value << shift & half);
        }
        values[event] = value;
        earlier[event] = before;
        last.put(address, event);
    }

    /** Returns the value that a reader of a word should see now. */
    long expected(long address) {
        int write = last.get(address);
        return write == NONE ? 0 : values[write];
    }

    /** Returns the last write to a word, null when it was never written. */
    @Nullable
    Write last(long address) {
        int write = last.get(address);
        return write == NONE ? null : new Write(write, values[write]);
    }

    /** Returns the last write that left a value in a word, null when none did. */
    @Nullable
    Write lastOf(long address, long value) {
        int write = last.get(address);
        while (write != NONE && values[write] != value) {
            write = earlier[write];
        }
        return write == NONE ? null : new Write(write, value);
    }

    /** Passes the address of each word that was written, once, in no order. */
    void forEachWord(LongConsumer action) {
        last.forEachAddress(action);
    }
}
