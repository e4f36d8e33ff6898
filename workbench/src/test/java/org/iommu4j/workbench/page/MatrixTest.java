// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.iommu4j.LinuxRelease;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.Workbench;
import org.iommu4j.workbench.report.CaseTable;
import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.api.Test;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Ansi;

/** Every built-in case on every built-in machine under every release. */
class MatrixTest {
    /** Machines that are only on the path of tests. */
    private static final String OF_TESTS = "minimal";

    private record Cell(Case story, MachineDescription machine, LinuxRelease release) {}

    private static List<Outcome> outcomes() {
        Workbench workbench = Workbench.create();
        List<Cell> cells = new ArrayList<>();
        for (Case story : workbench.cases()) {
            for (MachineDescription machine : workbench.machines().builtIn()) {
                if (!machine.name().startsWith(OF_TESTS)) {
                    LinuxRelease.known().forEach(release -> cells.add(new Cell(story, machine, release)));
                }
            }
        }
        return cells.parallelStream()
                .map(cell -> workbench.runner().run(cell.story, cell.machine, cell.release))
                .toList();
    }

    /** The recorded table is what {@code iommu4j cases --all-releases} prints. */
    @Test
    void everyAnswerIsAsItsPageExpectsAndAsRecorded() throws IOException {
        List<Outcome> outcomes = outcomes();

        assertThat(outcomes).allSatisfy(outcome -> {
            String what = outcome.caseName() + " on " + outcome.machine() + ", Linux " + outcome.linux() + ": "
                    + outcome.verdict() + " " + outcome.refusal() + " " + outcome.staleReads();
            assertThat(outcome.unexpected()).as(what).isNull();
            assertThat(outcome.verdict() == Verdict.NOT_APPLICABLE).as(what).isEqualTo(outcome.reason() != null);
            assertThat(outcome.errno() == null || outcome.verdict() == Verdict.REFUSED)
                    .as(what)
                    .isTrue();
        });
        String table = new CaseTable(Help.defaultColorScheme(Ansi.OFF), 80).byReleases(outcomes);
        if (Boolean.getBoolean("iommu4j.matrix.write")) {
            Files.writeString(Path.of("src/test/resources/org/iommu4j/workbench/page/matrix.txt"), table);
        }
        assertThat(table)
                .as("matrix.txt; -Diommu4j.matrix.write=true records it anew")
                .isEqualTo(recorded());
    }

    private static String recorded() throws IOException {
        try (InputStream stream =
                Objects.requireNonNull(MatrixTest.class.getResourceAsStream("matrix.txt"), "matrix.txt")) {
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}
