// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.iommu4j.LinuxRelease;
import org.iommu4j.workbench.scenario.Outcome;
import picocli.CommandLine.Help.ColorScheme;

/** Cases by machines: a row a case, a column a machine, then what each case is about. */
public final class CaseTable {
    private final ColorScheme colors;

    /** Makes a table in a terminal's colours. */
    public CaseTable(ColorScheme colors) {
        this.colors = colors;
    }

    /** Returns the table, one for each release among the outcomes. */
    public String of(List<Outcome> outcomes) {
        StringBuilder text = new StringBuilder();
        Set<LinuxRelease> releases = new LinkedHashSet<>();
        outcomes.forEach(outcome -> releases.add(outcome.linux()));
        for (LinuxRelease release : releases) {
            table(
                    text,
                    release,
                    outcomes.stream()
                            .filter(outcome -> outcome.linux().equals(release))
                            .toList());
        }
        Map<String, String> about = new LinkedHashMap<>();
        outcomes.forEach(outcome -> about.put(outcome.caseName(), outcome.about()));
        int width = about.keySet().stream().mapToInt(String::length).max().orElse(0);
        about.forEach((name, words) ->
                text.append(pad(name, width)).append("  ").append(words).append('\n'));
        return text.toString();
    }

    private void table(StringBuilder text, LinuxRelease release, List<Outcome> outcomes) {
        Map<String, Map<String, Outcome>> rows = new LinkedHashMap<>();
        Set<String> machines = new LinkedHashSet<>();
        for (Outcome outcome : outcomes) {
            machines.add(outcome.machine());
            rows.computeIfAbsent(outcome.caseName(), unused -> new LinkedHashMap<>())
                    .put(outcome.machine(), outcome);
        }
        String corner = "Linux " + release;
        int first = Math.max(
                corner.length(),
                rows.keySet().stream().mapToInt(String::length).max().orElse(0));
        Map<String, Integer> widths = new LinkedHashMap<>();
        for (String machine : machines) {
            int width = machine.length();
            for (Map<String, Outcome> row : rows.values()) {
                Outcome outcome = row.get(machine);
                width = Math.max(width, outcome == null ? 0 : cell(outcome).length());
            }
            widths.put(machine, width);
        }
        StringBuilder header = new StringBuilder(pad(corner, first));
        widths.forEach((machine, width) -> header.append("  ").append(pad(machine, width)));
        text.append(header.toString().stripTrailing()).append('\n');
        rows.forEach((name, row) -> {
            text.append(pad(name, first));
            widths.forEach((machine, width) -> {
                Outcome outcome = row.get(machine);
                String cell = outcome == null ? "" : cell(outcome);
                text.append("  ")
                        .append(outcome == null ? cell : Paint.verdict(colors, outcome, cell))
                        .append(" ".repeat(width - cell.length()));
            });
            while (text.charAt(text.length() - 1) == ' ') {
                text.setLength(text.length() - 1);
            }
            text.append('\n');
        });
        text.append('\n');
    }

    private static String cell(Outcome outcome) {
        if (outcome.reason() != null) {
            return "- " + outcome.reason();
        }
        if (outcome.errno() != null) {
            return outcome.verdict() + " " + outcome.errno();
        }
        return outcome.blame() == null ? outcome.verdict().name() : outcome.verdict() + " by " + outcome.blame();
    }

    private static String pad(String text, int width) {
        return text + " ".repeat(Math.max(0, width - text.length()));
    }
}
