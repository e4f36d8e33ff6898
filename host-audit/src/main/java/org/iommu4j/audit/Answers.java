// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.Objects;
import org.iommu4j.spi.Answer;
import org.jspecify.annotations.Nullable;

/** Logic with three values. */
public final class Answers {
    private Answers() {}

    /** Returns the conjunction: NO takes precedence, then UNKNOWN. */
    public static Answer and(Answer a, Answer b) {
        Objects.requireNonNull(a, "a");
        Objects.requireNonNull(b, "b");
        if (a == Answer.NO || b == Answer.NO) {
            return Answer.NO;
        }
        return a == Answer.UNKNOWN || b == Answer.UNKNOWN ? Answer.UNKNOWN : Answer.YES;
    }

    /** Returns true, false or null for unknown. */
    public static @Nullable Boolean toBoolean(Answer answer) {
        return switch (answer) {
            case YES -> Boolean.TRUE;
            case NO -> Boolean.FALSE;
            case UNKNOWN -> null;
        };
    }

    /** Returns a word for people. */
    public static String word(Answer answer) {
        return switch (answer) {
            case YES -> "yes";
            case NO -> "no";
            case UNKNOWN -> "unknown";
        };
    }
}
