// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer.spark;

import com.esotericsoftware.kryo.Kryo;
import com.esotericsoftware.kryo.KryoSerializable;
import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.io.Output;
import java.util.Arrays;
import java.util.List;
import org.iommu4j.explorer.Property;
import org.iommu4j.explorer.TransitionSystem;
import org.jspecify.annotations.Nullable;

/**
 * A state on its way: its fingerprint of 128 bits, and a path to it from the initial state. Rows are in the order of
 * their fingerprints; of those with the same fingerprint, the one with the smallest path is first.
 */
final class Row implements Comparable<Row>, KryoSerializable {
    /** How many bytes a fingerprint takes. */
    static final int FINGERPRINT_BYTES = 2 * Long.BYTES;

    /** What stands for the index of a property where none is violated. */
    static final int HOLDS = -1;

    private static final char[] NOWHERE = {};

    private long high;
    private long low;
    private char[] path;

    /** For Kryo. */
    Row() {
        this(0, 0, NOWHERE);
    }

    Row(long high, long low, char[] path) {
        this.high = high;
        this.low = low;
        this.path = path;
    }

    /** Returns the row of a system's present state. */
    static Row of(TransitionSystem system, boolean symmetry, char[] path) {
        // The first number's bits need not be spread, and need not be independent of what the system makes of words.
        return symmetry
                ? new Row(
                        TransitionSystem.mixSecond(0, system.canonicalFingerprint()),
                        system.secondCanonicalFingerprint(),
                        path)
                : new Row(TransitionSystem.mixSecond(0, system.fingerprint()), system.secondFingerprint(), path);
    }

    /** Returns the index of the first property that does not hold in a system's present state, or {@link #HOLDS}. */
    static int violated(List<Property> properties) {
        for (int i = 0; i < properties.size(); i++) {
            if (!properties.get(i).holds()) {
                return i;
            }
        }
        return HOLDS;
    }

    long high() {
        return high;
    }

    long low() {
        return low;
    }

    /** Returns the ordinals of the path's actions; not to be changed. */
    char[] path() {
        return path;
    }

    /** Returns the ordinals of the path's actions, as an exploration has them. */
    int[] actions() {
        return new String(path).chars().toArray();
    }

    /** Returns the part of the states that a fingerprint belongs to, 0 to {@code parts - 1}. */
    int part(int parts) {
        return (int) (((high >>> 32) * parts) >>> 32);
    }

    /** Compares fingerprints alone. */
    static int compare(long high, long low, long otherHigh, long otherLow) {
        int compared = Long.compareUnsigned(high, otherHigh);
        return compared != 0 ? compared : Long.compareUnsigned(low, otherLow);
    }

    @Override
    public int compareTo(Row other) {
        int compared = compare(high, low, other.high, other.low);
        return compared != 0 ? compared : Arrays.compare(path, other.path);
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof Row row && compareTo(row) == 0;
    }

    @Override
    public int hashCode() {
        return Long.hashCode(high ^ low);
    }

    @Override
    public void write(Kryo kryo, Output output) {
        output.writeLong(high);
        output.writeLong(low);
        output.writeInt(path.length, true);
        for (char action : path) {
            output.writeChar(action);
        }
    }

    @Override
    public void read(Kryo kryo, Input input) {
        high = input.readLong();
        low = input.readLong();
        path = new char[input.readInt(true)];
        for (int i = 0; i < path.length; i++) {
            path[i] = input.readChar();
        }
    }
}
