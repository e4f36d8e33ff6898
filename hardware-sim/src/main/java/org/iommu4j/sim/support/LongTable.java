// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.support;

import java.util.Arrays;

/** A map from numbers to numbers, open-addressed, without boxing. Keys are 0 or more. */
public final class LongTable {
    private static final long FREE = -1L;
    private static final long DELETED = -2L;

    private long[] keys;
    private long[] values = new long[16];
    private int size;
    private int filled;

    /** Makes an empty map. */
    public LongTable() {
        keys = new long[16];
        Arrays.fill(keys, FREE);
    }

    /** Returns the number of keys. */
    public int size() {
        return size;
    }

    /** Returns the value of a key, or {@code absent}. */
    public long get(long key, long absent) {
        int slot = find(key);
        return slot < 0 ? absent : values[slot];
    }

    /** Gives a key a value, in place of the one that it has. */
    public void put(long key, long value) {
        int slot = find(key);
        if (slot >= 0) {
            values[slot] = value;
            return;
        }
        if (2 * (filled + 1) > keys.length) {
            rehash();
        }
        slot = start(key);
        while (keys[slot] >= 0) {
            slot = next(slot);
        }
        if (keys[slot] == FREE) {
            filled++;
        }
        keys[slot] = key;
        values[slot] = value;
        size++;
    }

    /** Removes a key, if it is there. */
    public void remove(long key) {
        int slot = find(key);
        if (slot >= 0) {
            keys[slot] = DELETED;
            size--;
        }
    }

    private int find(long key) {
        for (int slot = start(key); keys[slot] != FREE; slot = next(slot)) {
            if (keys[slot] == key) {
                return slot;
            }
        }
        return -1;
    }

    private int start(long key) {
        long mixed = key * 0x9e3779b97f4a7c15L;
        return (int) (mixed >>> 40) & (keys.length - 1);
    }

    private int next(int slot) {
        return (slot + 1) & (keys.length - 1);
    }

    private void rehash() {
        long[] oldKeys = keys;
        long[] oldValues = values;
        int capacity = Integer.highestOneBit(Math.max(8, size)) * 4;
        keys = new long[capacity];
        Arrays.fill(keys, FREE);
        values = new long[capacity];
        filled = size;
        for (int i = 0; i < oldKeys.length; i++) {
            if (oldKeys[i] >= 0) {
                int slot = start(oldKeys[i]);
                while (keys[slot] != FREE) {
                    slot = next(slot);
                }
                keys[slot] = oldKeys[i];
                values[slot] = oldValues[i];
            }
        }
    }
}
