// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.iommu4j.LinuxRelease;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.verdict.StaleRead;
import org.iommu4j.workbench.Workbench;
import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.api.Test;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Ansi;

class TextReportTest {
    private final TextReport report = new TextReport(Help.defaultColorScheme(Ansi.OFF));

    /** Sentences are broken; a row of the timeline is as wide as its lanes need. */
    @Test
    void noLineIsWiderThanATerminalHasAndNoWordIsLost() {
        Workbench workbench = Workbench.create();
        for (Case story : workbench.cases()) {
            for (MachineDescription machine : workbench.machines().builtIn()) {
                Outcome outcome = workbench.runner().run(story, machine, LinuxRelease.NEWEST);

                String text = report.of(outcome);

                assertThat(text.lines())
                        .as("%s on %s", story.name(), machine.name())
                        .allMatch(line -> line.length() <= 120);
                List<String> words = List.of(text.split("\\s+"));
                for (StaleRead read : outcome.staleReads()) {
                    assertThat(words).containsSequence(read.why().split(" "));
                }
            }
        }
    }
}
