// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.Printable;
import org.iommu4j.workbench.scenario.Outcome;
import picocli.CommandLine.Help.ColorScheme;

/** Cases by machines: a row a case, a column a machine, then what each case is about. */
public final class CaseTable {
    /** As wide as the longest pair of releases. */
    private static final int RELEASES = "5.19-posted to 5.19-posted".length();

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
        end(text, outcomes);
        return text.toString();
    }

    /** Returns for each case and machine the answers, each with the releases that give it. */
    public String byReleases(List<Outcome> outcomes) {
        Map<String, Map<String, List<Outcome>>> cases = new LinkedHashMap<>();
        int machines = 0;
        for (Outcome outcome : outcomes) {
            cases.computeIfAbsent(outcome.caseName(), unused -> new LinkedHashMap<>())
                    .computeIfAbsent(outcome.machine(), unused -> new ArrayList<>())
                    .add(outcome);
            machines = Math.max(machines, outcome.machine().length());
        }
        StringBuilder text = new StringBuilder();
        for (Map.Entry<String, Map<String, List<Outcome>>> story : cases.entrySet()) {
            text.append(Printable.line(story.getKey())).append('\n');
            for (Map.Entry<String, List<Outcome>> row : story.getValue().entrySet()) {
                String machine = row.getKey();
                List<Outcome> answers = row.getValue();
                for (int from = 0, to; from < answers.size(); from = to) {
                    to = from + 1;
                    while (to < answers.size() && cell(answers.get(to)).equals(cell(answers.get(from)))) {
                        to++;
                    }
                    String first = answers.get(from).linux().toString();
                    String last = answers.get(to - 1).linux().toString();
                    text.append("  ")
                            .append(pad(machine, machines))
                            .append("  ")
                            .append(pad(first.equals(last) ? first : first + " to " + last, RELEASES))
                            .append("  ")
                            .append(Paint.verdict(colors, answers.get(from), cell(answers.get(from))))
                            .append('\n');
                    machine = "";
                }
            }
        }
        text.append('\n');
        end(text, outcomes);
        return text.toString();
    }

    /** Says what each case is about, and which answers are not as their pages expect. */
    private void end(StringBuilder text, List<Outcome> outcomes) {
        Map<String, String> about = new LinkedHashMap<>();
        outcomes.forEach(outcome -> about.put(outcome.caseName(), outcome.about()));
        int width = about.keySet().stream().mapToInt(String::length).max().orElse(0);
        about.forEach((name, words) -> text.append(pad(name, width))
                .append("  ")
                .append(Printable.line(words))
                .append('\n'));
        for (Outcome outcome : outcomes) {
            String difference = outcome.unexpected();
            if (difference != null) {
                text.append("not as its page expects: ")
                        .append(outcome.caseName())
                        .append(" on ")
                        .append(outcome.machine())
                        .append(", Linux ")
                        .append(outcome.linux())
                        .append(": ")
                        .append(cell(outcome))
                        .append(", ")
                        .append(difference)
                        .append('\n');
            }
        }
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
