// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.Objects;
import java.util.Optional;
import org.iommu4j.host.Fact;
import org.iommu4j.host.FunctionEvidence;
import org.iommu4j.spi.Answer;

/**
 * Whether a device can be reset, so that a guest gets it clean and the host gets it back.
 *
 * @param possible whether there is a way
 * @param words the ways, for people
 */
public record Reset(Answer possible, String words) {
    /** Nothing tells. */
    public static final Reset UNKNOWN = new Reset(Answer.UNKNOWN, "unknown");

    /** Refuses what is missing. */
    public Reset {
        Objects.requireNonNull(possible, "possible");
        Objects.requireNonNull(words, "words");
    }

    /** What Linux lists decides; a capability shows one way, and its absence leaves the others open. */
    static Reset of(FunctionEvidence function) {
        Optional<String> methods = function.resetMethods().map(Fact::value);
        if (methods.isPresent()) {
            return methods.get().isBlank()
                    ? new Reset(Answer.NO, "Linux has no way to reset it: a guest may find it as the last one left it")
                    : new Reset(Answer.YES, "possible: " + methods.get());
        }
        return switch (function.functionLevelReset()) {
            case YES -> new Reset(Answer.YES, "possible: the function by itself (FLR)");
            case NO -> new Reset(Answer.UNKNOWN, "not the function by itself (no FLR); other ways are unknown");
            case UNKNOWN -> UNKNOWN;
        };
    }
}
