// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.Locale;
import java.util.Objects;

/**
 * What an exploration has covered so far, at what rate, and at what cost.
 *
 * @param states states found; under symmetry, classes of them
 * @param transitions actions performed, those included that led to known states
 * @param depth the distance of the farthest state found from the initial one
 * @param ended whether that is everything, or why not
 * @param nanos how long it took, over all runs, in nanoseconds
 * @param memory bytes that fingerprints, parents and frontier take in memory, with the room that they keep free
 * @param spilled bytes of frontier written to disk, over all runs
 * @param expectedCollisions how many states are expected to be missing because another had their fingerprint, if
 *     fingerprints are as good as chance; 0 if they are exact
 */
public record Cover(
        long states,
        long transitions,
        int depth,
        Ended ended,
        long nanos,
        long memory,
        long spilled,
        double expectedCollisions) {
    /** Refuses a null. */
    public Cover {
        Objects.requireNonNull(ended);
    }

    /** Returns the transitions performed in a second. */
    public double rate() {
        return transitions * 1e9 / Math.max(1, nanos);
    }

    /** Returns the statement for people: lines of counts, of cost, and of what fingerprints may miss. */
    public String statement() {
        String collisions = expectedCollisions == 0
                ? "fingerprints are exact"
                : String.format(Locale.ROOT, "%.1e states expected to be missed by collisions", expectedCollisions);
        return String.format(
                Locale.ROOT,
                "%,d states, %,d transitions, depth %d: %s%n%.1f s, %,.0f transitions a second; "
                        + "%.1f MiB in memory, %.1f MiB on disk%n%s",
                states,
                transitions,
                depth,
                ended,
                nanos / 1e9,
                rate(),
                memory / 1048576.0,
                spilled / 1048576.0,
                collisions);
    }
}
