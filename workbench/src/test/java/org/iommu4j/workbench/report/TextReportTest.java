// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.iommu4j.sim.verdict.StaleRead;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.TimelineEntry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Ansi;

class TextReportTest {
    private static String report(Outcome outcome, int width) {
        return new TextReport(Help.defaultColorScheme(Ansi.OFF), width).of(outcome);
    }

    @ParameterizedTest
    @ValueSource(ints = {80, 100})
    void noLineIsWiderThanTheTerminalAndNoWordIsLost(int width) {
        for (Outcome outcome : Library.RUNS) {
            String text = report(outcome, width);

            assertThat(text.lines()).as(Library.name(outcome)).allMatch(line -> line.length() <= width);
            List<String> words = List.of(text.split("\\s+"));
            for (StaleRead read : outcome.staleReads()) {
                assertThat(words).containsSequence(read.why().split(" "));
            }
        }
    }

    /** A reader follows a lane down; an event that goes on in a second line would break it. */
    @ParameterizedTest
    @ValueSource(ints = {80, 100})
    void anEventOfALaneIsOneLineAndLanesBeginInTheSameColumn(int width) {
        for (Outcome outcome : Library.RUNS) {
            List<String> lines = report(outcome, width).lines().toList();
            for (TimelineEntry entry : outcome.timeline()) {
                if (entry.lane() != TimelineEntry.Lane.NOTE) {
                    String words = entry.who() + " " + entry.text();
                    String start = String.format("  %3d  ", entry.at());
                    assertThat(lines)
                            .as("%s: %s", Library.name(outcome), entry)
                            .anyMatch(line -> line.startsWith(start) && line.endsWith(" " + words));
                }
            }
        }
    }

    /** Each line of it is printed, in this order; dots stand for lines that are left out. */
    @Test
    void theReadmeShowsWhatTheFirstCommandPrints() throws IOException {
        Outcome outcome = Library.run("guest-no-snoop", "intel-nosc");
        List<String> shown = Files.readAllLines(Path.of("../README.md")).stream()
                .dropWhile(line -> !line.startsWith("    guest-no-snoop on intel-nosc"))
                .takeWhile(line -> line.isEmpty() || line.startsWith("    "))
                .filter(line -> !line.isBlank() && !line.strip().equals("..."))
                .map(line -> line.substring(4))
                .toList();

        assertThat(shown).hasSizeGreaterThan(20);
        assertThat(report(outcome, 80).lines()).containsSubsequence(shown);
    }
}
