// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.output;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import org.junit.jupiter.api.Test;

class TerminalTest {
    private static final String KIND = "TERM";

    @Test
    void aTerminalThatObeysSequencesHasColours() {
        assertThat(Terminal.hasColours(Map.of(KIND, "xterm-256color"), true)).isTrue();
        assertThat(Terminal.hasColours(Map.of(KIND, "xterm-256color"), false)).isFalse();
        assertThat(Terminal.hasColours(Map.of(KIND, "dumb"), true)).isFalse();
        assertThat(Terminal.hasColours(Map.of(KIND, ""), true)).isFalse();
        assertThat(Terminal.hasColours(Map.of(), true)).isFalse();
    }

    @Test
    void theUsersWishTakesPrecedence() {
        assertThat(Terminal.hasColours(Map.of(KIND, "xterm", "NO_COLOR", "1"), true))
                .isFalse();
        assertThat(Terminal.hasColours(Map.of(KIND, "xterm", "NO_COLOR", ""), true))
                .isTrue();
        assertThat(Terminal.hasColours(Map.of(KIND, "xterm", "CLICOLOR", "0"), true))
                .isFalse();
        assertThat(Terminal.hasColours(Map.of(KIND, "dumb", "CLICOLOR_FORCE", "1"), false))
                .isTrue();
        assertThat(Terminal.hasColours(Map.of(KIND, "xterm", "CLICOLOR_FORCE", "0"), false))
                .isFalse();
        assertThat(Terminal.hasColours(Map.of("NO_COLOR", "1", "CLICOLOR_FORCE", "1"), true))
                .isFalse();
    }

    @Test
    void aReportIsAsWideAsTheTerminalBetweenEightyAndAHundredColumns() {
        assertThat(Terminal.columns(Map.of("COLUMNS", "92"), true)).isEqualTo(92);
        assertThat(Terminal.columns(Map.of("COLUMNS", "200"), true)).isEqualTo(100);
        assertThat(Terminal.columns(Map.of("COLUMNS", "40"), true)).isEqualTo(80);
        assertThat(Terminal.columns(Map.of("COLUMNS", "92"), false))
                .as("a file")
                .isEqualTo(80);
        assertThat(Terminal.columns(Map.of("COLUMNS", "wide"), true)).isEqualTo(80);
        assertThat(Terminal.columns(Map.of(), true)).isEqualTo(80);
    }
}
