// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.time.Duration;
import java.util.Objects;

/**
 * Where an exploration stops though it has not seen everything. One worker looks at the number of states after each
 * state that it expands. Time and memory, and with several workers the states, are looked at after every 32, so that a
 * bound can be exceeded by the successors of so many states for each worker.
 *
 * @param depth states so far from the initial one are found and checked, but not expanded; 0 or more
 * @param states how many states to find at most, 1 to {@value #MAX_STATES}
 * @param time how long to run, counted for each call of {@link Exploration#run}; positive
 * @param memory how many bytes fingerprints, parents and frontier may take in memory; positive
 */
public record Bounds(int depth, long states, Duration time, long memory) {
    /** As many states as there are numbers for, less a margin that no overshoot reaches: {@value}. */
    public static final long MAX_STATES = 4_000_000_000L;

    /** No bound but that of the numbers of states. */
    public static final Bounds NONE =
            new Bounds(Integer.MAX_VALUE, MAX_STATES, Duration.ofNanos(Long.MAX_VALUE / 2), Long.MAX_VALUE);

    /** Refuses what is out of range by IllegalArgumentException. */
    public Bounds {
        Objects.requireNonNull(time);
        require(depth >= 0, "depth", depth, "0 or more");
        require(states >= 1 && states <= MAX_STATES, "number of states", states, "1 to " + MAX_STATES);
        require(time.compareTo(Duration.ZERO) > 0, "time", time, "more than 0");
        require(memory >= 1, "memory", memory, "1 byte or more");
    }

    static void require(boolean inRange, String what, Object value, String expected) {
        if (!inRange) {
            throw new IllegalArgumentException(what + " is " + value + ", expected " + expected);
        }
    }

    /** Returns these bounds with another depth. */
    public Bounds withDepth(int other) {
        return new Bounds(other, states, time, memory);
    }

    /** Returns these bounds with another number of states. */
    public Bounds withStates(long other) {
        return new Bounds(depth, other, time, memory);
    }

    /** Returns these bounds with another time. */
    public Bounds withTime(Duration other) {
        return new Bounds(depth, states, other, memory);
    }

    /** Returns these bounds with another number of bytes. */
    public Bounds withMemory(long other) {
        return new Bounds(depth, states, time, other);
    }
}
