// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.verdict;

import java.util.Arrays;
import java.util.function.IntPredicate;
import java.util.function.LongConsumer;
import org.iommu4j.sim.support.LongTable;
import org.jspecify.annotations.Nullable;

/**
 * For each word of memory, or for each line, an event of the trace.
 *
 * <p>Drivers fill whole frames, so the events are kept by frame, and the last frame used is at hand. Addresses are in
 * bytes, 0 or more.
 */
final class EventTable {
    /** Stands for no event. */
    static final int NONE = -1;

    private static final int FRAME_SHIFT = 12;
    private static final int WORD_SHIFT = 3;
    private static final int LINE_SHIFT = 6;

    /** Bits of an address that tell nothing about its word or line. */
    private final int shift;

    /** For each frame that has events, its index in the next two. */
    private final LongTable indexes = new LongTable();

    private long[] frames = new long[16];
    private int[][] events = new int[16][];
    private int count;
    private long lastFrame = -1;
    private int @Nullable [] lastEvents;

    private EventTable(int shift) {
        this.shift = shift;
    }

    /** Makes a table with an event for each word of 8 bytes. */
    static EventTable ofWords() {
        return new EventTable(WORD_SHIFT);
    }

    /** Makes a table with an event for each line of 64 bytes. */
    static EventTable ofLines() {
        return new EventTable(LINE_SHIFT);
    }

    /** Returns the event of the word or line at an address, or {@link #NONE}. */
    int get(long address) {
        int[] its = find(address >>> FRAME_SHIFT);
        return its == null ? NONE : its[slot(address)];
    }

    /** Sets the event of the word or line at an address; {@link #NONE} removes it. */
    void put(long address, int event) {
        long frame = address >>> FRAME_SHIFT;
        int[] its = find(frame);
        if (its == null) {
            its = add(frame);
        }
        its[slot(address)] = event;
    }

    /** Removes the events that a test accepts. */
    void removeIf(IntPredicate test) {
        for (int i = 0; i < count; i++) {
            int[] its = events[i];
            for (int slot = 0; slot < its.length; slot++) {
                if (its[slot] != NONE && test.test(its[slot])) {
                    its[slot] = NONE;
                }
            }
        }
    }

    /** Passes the address of each word or line that has an event, in no order. */
    void forEachAddress(LongConsumer action) {
        for (int i = 0; i < count; i++) {
            int[] its = events[i];
            for (int slot = 0; slot < its.length; slot++) {
                if (its[slot] != NONE) {
                    action.accept((frames[i] << FRAME_SHIFT) + ((long) slot << shift));
                }
            }
        }
    }

    private int slot(long address) {
        return (int) (address & (1L << FRAME_SHIFT) - 1) >>> shift;
    }

    private int @Nullable [] find(long frame) {
        if (frame != lastFrame) {
            int index = (int) indexes.get(frame, NONE);
            lastFrame = frame;
            lastEvents = index == NONE ? null : events[index];
        }
        return lastEvents;
    }

    private int[] add(long frame) {
        if (count == frames.length) {
            frames = Arrays.copyOf(frames, 2 * count);
            events = Arrays.copyOf(events, 2 * count);
        }
        int[] its = new int[1 << (FRAME_SHIFT - shift)];
        Arrays.fill(its, NONE);
        frames[count] = frame;
        events[count] = its;
        indexes.put(frame, count++);
        lastFrame = frame;
        lastEvents = its;
        return its;
    }
}
