// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import org.iommu4j.workbench.scenario.Outcome;
import picocli.CommandLine.Help.ColorScheme;

/** Colours of verdicts, where the terminal has them. */
final class Paint {
    private Paint() {}

    /** Returns the text in the verdict's colour; text that is not for a terminal comes back as it is. */
    static String verdict(ColorScheme colors, Outcome outcome, String text) {
        String style = switch (outcome.verdict()) {
            case COHERENT -> "fg(green)";
            case CORRUPTED, LEAKED -> "fg(red),bold";
            case REFUSED -> "fg(yellow)";
            case NOT_APPLICABLE -> "faint";
        };
        return colors.ansi().string("@|" + style + " " + text + "|@");
    }
}
