// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.Arrays;

/** The parent and the action of each state, in the order of discovery: 6 bytes a state, in segments, none copied. */
final class Trace {
    private static final int SEGMENT_BITS = 14;
    private static final int SEGMENT = 1 << SEGMENT_BITS;

    private int[][] parents = new int[4][];
    private char[][] actions = new char[4][];
    private long size;

    /** Adds a state, and returns its number: they count from 0. */
    long add(int parent, int action) {
        int segment = (int) (size >>> SEGMENT_BITS);
        int at = (int) size & (SEGMENT - 1);
        if (at == 0) {
            if (segment == parents.length) {
                parents = Arrays.copyOf(parents, segment * 2);
                actions = Arrays.copyOf(actions, segment * 2);
            }
            parents[segment] = new int[SEGMENT];
            actions[segment] = new char[SEGMENT];
        }
        parents[segment][at] = parent;
        actions[segment][at] = (char) action;
        return size++;
    }

    int parent(long state) {
        return parents[(int) (state >>> SEGMENT_BITS)][(int) state & (SEGMENT - 1)];
    }

    int action(long state) {
        return actions[(int) (state >>> SEGMENT_BITS)][(int) state & (SEGMENT - 1)];
    }

    long size() {
        return size;
    }

    long bytes() {
        return ((size + SEGMENT - 1) >>> SEGMENT_BITS) * SEGMENT * (Integer.BYTES + Character.BYTES);
    }
}
