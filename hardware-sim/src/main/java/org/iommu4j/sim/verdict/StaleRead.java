// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.verdict;

import java.util.Objects;

/**
 * A read that did not see the last write before it.
 *
 * @param at the event's number in the trace
 * @param who the reader; {@code memory} for memory at the end
 * @param address physical address of the word
 * @param expected the value last written before
 * @param observed the value seen
 * @param blame the party that broke the contract
 * @param leaked whether the value seen belonged to another owner
 * @param why the cause, in words from the trace
 */
public record StaleRead(
        int at, String who, long address, long expected, long observed, Blame blame, boolean leaked, String why) {
    /** Refuses what is missing. */
    public StaleRead {
        Objects.requireNonNull(who, "who");
        Objects.requireNonNull(blame, "blame");
        Objects.requireNonNull(why, "why");
    }

    /** Returns whether memory itself is wrong at the end, and nobody read. */
    public boolean ofMemory() {
        return who.equals("memory");
    }
}
