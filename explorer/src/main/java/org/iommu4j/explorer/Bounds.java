// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.time.Duration;
import java.util.Objects;

/**
 * Where an exploration stops though it has not seen everything. Each is looked at between the expansions of two states,
 * so that it can be exceeded by one state's successors for each worker.
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
        if (depth < 0 || states < 1 || states > MAX_STATES || memory < 1 || time.isNegative() || time.isZero()) {
            throw new IllegalArgumentException("bounds out of range: depth " + depth + ", states " + states + ", time "
                    + time + ", memory " + memory);
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
