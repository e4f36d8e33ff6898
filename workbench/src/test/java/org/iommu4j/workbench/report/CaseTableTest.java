// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.iommu4j.LinuxRelease;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Ansi;

class CaseTableTest {
    private static String table(int width, List<Outcome> outcomes) {
        return new CaseTable(Help.defaultColorScheme(Ansi.OFF), width).of(outcomes);
    }

    private static List<Outcome> newest() {
        return Library.RUNS.stream()
                .filter(outcome -> outcome.linux().equals(LinuxRelease.NEWEST))
                .toList();
    }

    @ParameterizedTest
    @ValueSource(ints = {60, 80, 100})
    void noLineIsWiderThanTheTerminal(int width) {
        assertThat(table(width, newest()).lines())
                .allSatisfy(line -> assertThat(line.length()).isLessThanOrEqualTo(width));
    }

    @Test
    void everyNameOfACaseAndOfAMachineAndEveryAnswerIsThereInWords() {
        String table = table(80, newest());

        assertThat(newest()).allSatisfy(outcome -> {
            assertThat(table).contains(outcome.caseName());
            assertThat(table.lines())
                    .anyMatch(line -> List.of(line.strip().split(" +", -1)).contains(outcome.machine()));
            assertThat(table)
                    .contains(
                            outcome.reason() != null
                                    ? "NOT_APPLICABLE " + outcome.reason()
                                    : outcome.verdict().name());
        });
    }

    @Test
    void aSignStandsForOneAnswer() {
        String table = table(80, newest());

        List<String> signs = table.lines()
                .filter(line ->
                        line.matches("  (\\.|[CLR-][A-Za-z]?) +(COHERENT|CORRUPTED|LEAKED|REFUSED|NOT_APPLICABLE).*"))
                .map(line -> line.strip().split(" +", -1)[0])
                .toList();
        assertThat(signs).doesNotHaveDuplicates().contains(".", "CH", "CG", "R", "Ra", "-a");
    }

    @Test
    void fewMachinesHaveTheirNamesAndAnswersInTheTable() {
        List<Outcome> few =
                List.of(Library.run("guest-forgets-flush", "intel-nosc"), Library.run("guest-forgets-flush", "amd"));

        assertThat(table(80, few).lines().limit(2))
                .containsExactly(
                        "Linux 7.3            intel-nosc                 amd",
                        "guest-forgets-flush  CORRUPTED by GUEST_DRIVER  COHERENT");
    }
}
