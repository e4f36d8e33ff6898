// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.verdict;

import java.util.ArrayList;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import org.iommu4j.sim.trace.Trace;
import org.jspecify.annotations.Nullable;

/**
 * The flat memory that readers are compared with: every write takes effect in event order, and earlier ones are
 * recorded. Words are 64 bits, aligned to 8; unwritten words are zero.
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
    private final NavigableMap<Long, List<Write>> words = new TreeMap<>();

    WriteHistory(Trace trace) {
        this.trace = trace;
    }

    /** Replays an event that wrote a word, or half of one. */
    void write(int event) {
        long address = trace.address(event) & -8L;
        long value = trace.value(event);
        if (trace.has(event, Trace.HALF)) {
            int shift = (int) (trace.address(event) & 4) * 8;
            long half = 0xffffffffL << shift;
            value = (expected(address) & ~half) | (value << shift & half);
        }
        words.computeIfAbsent(address, unused -> new ArrayList<>()).add(new Write(event, value));
    }

    /** Returns the value that a reader of a word should see now. */
    long expected(long address) {
        Write last = last(address);
        return last == null ? 0 : last.value();
    }

    /** Returns the last write to a word, null when it was never written. */
    @Nullable
    Write last(long address) {
        List<Write> writes = words.get(address);
        return writes == null ? null : writes.get(writes.size() - 1);
    }

    /** Returns the last write that left a value in a word, null when none did. */
    @Nullable
    Write lastOf(long address, long value) {
        List<Write> writes = words.getOrDefault(address, List.of());
        for (int i = writes.size() - 1; i >= 0; i--) {
            if (writes.get(i).value() == value) {
                return writes.get(i);
            }
        }
        return null;
    }

    /** Passes each word that was written, and the last write to it, in the order of addresses. */
    void forEachLast(BiConsumer<Long, Write> action) {
        words.forEach((address, writes) -> action.accept(address, writes.get(writes.size() - 1)));
    }
}
