// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;

/**
 * A set of fingerprints: open addressing in segments, which a directory finds by the upper bits.
 *
 * <p>When a segment is full, it hands those of its fingerprints whose next bit is set to a new segment. No other
 * segment is touched, and only the directory of references is ever copied. Segments are of sixteen sizes, so that they
 * do not all fill at the same time and the load of a large table hardly varies.
 *
 * <p>One thread adds. Others may ask {@link #hasSeen} at any time.
 */
final class FingerprintTable {
    /** Slots of the smallest segments, unless a test wants them to be full sooner. */
    static final int DEFAULT_SLOTS = 1 << 13;

    /** How many segments there are in the beginning, and how many sizes of them. */
    private static final int SIZES = 16;

    private static final int FIRST_DEPTH = Integer.numberOfTrailingZeros(SIZES);
    /** Only fingerprints that are not spread need a deeper directory. */
    private static final int MAX_DEPTH = 28;

    /** The word behind the slots: the number of fingerprints above the depth of the segment. */
    private static final int USED_SHIFT = 8;

    private static final long DEPTH_MASK = (1 << USED_SHIFT) - 1;

    private static final VarHandle SLOT = MethodHandles.arrayElementVarHandle(long[].class);

    private long[][] directory = new long[SIZES][];
    private int depth = FIRST_DEPTH;
    private final long[] moving;
    private boolean hasZero;
    private long size;
    private long slots;

    /**
     * Makes an empty table.
     *
     * @param smallest slots of the smallest segments, 16 or more; the largest have almost twice as many
     */
    FingerprintTable(int smallest) {
        if (smallest < SIZES) {
            throw new IllegalArgumentException("segments of " + smallest + " slots");
        }
        for (int i = 0; i < SIZES; i++) {
            int capacity = smallest + smallest * i / SIZES;
            directory[i] = segment(capacity, FIRST_DEPTH);
        }
        moving = new long[2 * smallest];
    }

    /** Adds a fingerprint, and returns whether it is new. */
    boolean add(long fingerprint) {
        if (fingerprint == 0) {
            return addZero();
        }
        long[] segment = segmentOf(fingerprint);
        int capacity = segment.length - 1;
        int at = home(fingerprint, capacity);
        for (long found = segment[at]; found != 0; found = segment[at]) {
            if (found == fingerprint) {
                return false;
            }
            at = at + 1 == capacity ? 0 : at + 1;
        }
        SLOT.setOpaque(segment, at, fingerprint);
        size++;
        segment[capacity] += 1 << USED_SHIFT;
        while (segment[capacity] >>> USED_SHIFT > capacity - capacity / 5) {
            split(segment, fingerprint);
            segment = segmentOf(fingerprint);
        }
        return true;
    }

    /**
     * Returns whether a fingerprint was added, as another thread sees it: a yes is true for ever, a no may be out of
     * date.
     */
    boolean hasSeen(long fingerprint) {
        long[][] segments = directory;
        int bits = Integer.numberOfTrailingZeros(segments.length);
        long[] segment = segments[(int) (fingerprint >>> (Long.SIZE - bits))];
        int capacity = segment.length - 1;
        int at = home(fingerprint, capacity);
        for (long found = at(segment, at); found != 0; found = at(segment, at)) {
            if (found == fingerprint) {
                return true;
            }
            at = at + 1 == capacity ? 0 : at + 1;
        }
        return false;
    }

    private static long at(long[] segment, int at) {
        return (long) SLOT.getOpaque(segment, at);
    }

    /** Returns how many fingerprints there are. */
    long size() {
        return size;
    }

    /** Returns how many bytes the segments and the directory take. */
    long bytes() {
        return slots * Long.BYTES + directory.length * (long) Integer.BYTES + moving.length * (long) Long.BYTES;
    }

    private boolean addZero() {
        boolean fresh = !hasZero;
        hasZero = true;
        size += fresh ? 1 : 0;
        return fresh;
    }

    private long[] segmentOf(long fingerprint) {
        return directory[(int) (fingerprint >>> (Long.SIZE - depth))];
    }

    private static int home(long fingerprint, int capacity) {
        return (int) (((fingerprint & 0xFFFF_FFFFL) * capacity) >>> Integer.SIZE);
    }

    private long[] segment(int capacity, int itsDepth) {
        slots += capacity;
        long[] segment = new long[capacity + 1];
        segment[capacity] = itsDepth;
        return segment;
    }

    /** Hands half of a segment to a new one; other threads may miss some of its fingerprints meanwhile. */
    private void split(long[] segment, long member) {
        int capacity = segment.length - 1;
        int itsDepth = (int) (segment[capacity] & DEPTH_MASK);
        if (itsDepth == depth) {
            doubleDirectory();
        }
        long[] sibling = segment(capacity, itsDepth + 1);
        System.arraycopy(segment, 0, moving, 0, capacity);
        for (int at = 0; at < capacity; at++) {
            SLOT.setOpaque(segment, at, 0L);
        }
        segment[capacity] = itsDepth + 1L;
        long bit = 1L << (Long.SIZE - 1 - itsDepth);
        for (int at = 0; at < capacity; at++) {
            if (moving[at] != 0) {
                place((moving[at] & bit) == 0 ? segment : sibling, moving[at]);
            }
        }
        int span = 1 << (depth - itsDepth);
        int first = (int) (member >>> (Long.SIZE - itsDepth)) * span;
        Arrays.fill(directory, first + span / 2, first + span, sibling);
    }

    private void doubleDirectory() {
        if (depth == MAX_DEPTH) {
            throw new IllegalStateException(
                    "the fingerprints are not spread: " + size + " fill a directory of depth " + depth);
        }
        long[][] larger = new long[directory.length * 2][];
        for (int i = 0; i < larger.length; i++) {
            larger[i] = directory[i / 2];
        }
        directory = larger;
        depth++;
    }

    private static void place(long[] segment, long fingerprint) {
        int capacity = segment.length - 1;
        int at = home(fingerprint, capacity);
        while (segment[at] != 0) {
            at = at + 1 == capacity ? 0 : at + 1;
        }
        SLOT.setOpaque(segment, at, fingerprint);
        segment[capacity] += 1 << USED_SHIFT;
    }
}
