// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.verdict;

import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The checker's results for a trace.
 *
 * @param verdict COHERENT, CORRUPTED or LEAKED
 * @param blame the party that broke the contract, null when none did
 * @param noSnoopSent requests that carried no-snoop
 * @param noSnoopBlocked those of them that the translation unit forced to be snooped
 * @param noSnoopPassed those of them that went past the caches
 * @param staleReads the reads that did not see the last write, in order; memory that is wrong at the end is listed as a
 *     read by {@code memory}
 */
public record Findings(
        Verdict verdict,
        @Nullable Blame blame,
        int noSnoopSent,
        int noSnoopBlocked,
        int noSnoopPassed,
        List<StaleRead> staleReads) {
    /** Copies the list. */
    public Findings {
        Objects.requireNonNull(verdict, "verdict");
        staleReads = List.copyOf(staleReads);
    }
}
