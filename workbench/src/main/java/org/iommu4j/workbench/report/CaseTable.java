// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.Printable;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.scenario.Outcome;
import picocli.CommandLine.Help.ColorScheme;

/**
 * Cases by machines: a row a case, a column a machine, then what each case is about.
 *
 * <p>Where the names of machines and the answers in words are wider than the terminal, machines have numbers and
 * answers have signs, and a legend has the words.
 */
public final class CaseTable {
    /** Between columns of words, and before a legend's lines. */
    private static final String GAP = "  ";

    /** Columns of a sign, or of a machine's number, with the gap before it. */
    private static final int SIGN = 3;

    /** As wide as the longest pair of releases. */
    private static final int RELEASES = "5.19-posted to 5.19-posted".length();

    private final ColorScheme colors;
    private final int width;

    /**
     * Makes a table in a terminal's colours.
     *
     * @param width columns of a line; longer are only single words, and lists by releases
     */
    public CaseTable(ColorScheme colors, int width) {
        this.colors = colors;
        this.width = width;
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
        end(text, outcomes, width);
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
        end(text, outcomes, Integer.MAX_VALUE);
        return text.toString();
    }

    /** Says what each case is about, and which answers are not as their pages expect. */
    private void end(StringBuilder text, List<Outcome> outcomes, int columns) {
        Map<String, String> about = new LinkedHashMap<>();
        outcomes.forEach(outcome -> about.put(outcome.caseName(), outcome.about()));
        int names = about.keySet().stream().mapToInt(String::length).max().orElse(0);
        about.forEach((name, words) -> hanging(text, pad(name, names) + GAP, Printable.line(words), columns));
        for (Outcome outcome : outcomes) {
            String difference = outcome.unexpected();
            if (difference != null) {
                hanging(
                        text,
                        "not as its page expects: ",
                        outcome.caseName() + " on " + outcome.machine() + ", Linux " + outcome.linux() + ": "
                                + cell(outcome) + ", " + difference,
                        columns);
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
        if (first
                        + widths.values().stream()
                                .mapToInt(each -> each + GAP.length())
                                .sum()
                > width) {
            signs(text, corner, first, List.copyOf(machines), rows);
            return;
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

    /** Adds the table with numbers for machines and signs for answers, in parts where it is still too wide. */
    private void signs(
            StringBuilder text,
            String corner,
            int first,
            List<String> machines,
            Map<String, Map<String, Outcome>> rows) {
        Map<String, String> signs = new LinkedHashMap<>();
        Map<String, Outcome> examples = new TreeMap<>();
        rows.values()
                .forEach(row -> row.values().forEach(outcome -> {
                    String sign = signs.computeIfAbsent(cell(outcome), cell -> sign(outcome, examples.keySet()));
                    examples.putIfAbsent(sign, outcome);
                }));
        int part = Math.max(1, (width - first) / SIGN);
        for (int from = 0; from < machines.size(); from += part) {
            int to = Math.min(machines.size(), from + part);
            text.append(pad(corner, first));
            for (int machine = from; machine < to; machine++) {
                text.append(String.format(Locale.ROOT, "%" + SIGN + "d", machine + 1));
            }
            text.append('\n');
            for (Map.Entry<String, Map<String, Outcome>> row : rows.entrySet()) {
                StringBuilder line = new StringBuilder(pad(row.getKey(), first));
                for (String machine : machines.subList(from, to)) {
                    Outcome outcome = row.getValue().get(machine);
                    String sign = outcome == null ? "" : signs.getOrDefault(cell(outcome), "");
                    line.append(" ".repeat(SIGN - sign.length()))
                            .append(outcome == null ? "" : Paint.verdict(colors, outcome, sign));
                }
                text.append(line.toString().stripTrailing()).append('\n');
            }
            text.append('\n');
        }
        List<String> numbered = new ArrayList<>();
        for (String machine : machines) {
            numbered.add((numbered.size() + 1) + " " + machine);
        }
        legend(text, numbered);
        text.append('\n');
        examples.forEach((sign, outcome) -> text.append(GAP)
                .append(pad(sign, SIGN + 1))
                .append(Paint.verdict(
                        colors,
                        outcome,
                        outcome.reason() == null ? cell(outcome) : outcome.verdict() + " " + outcome.reason()))
                .append('\n'));
        text.append('\n');
    }

    /** Adds the entries of a legend, as many in a line as fit. */
    private void legend(StringBuilder text, List<String> entries) {
        int longest = entries.stream().mapToInt(String::length).max().orElse(0);
        int perLine = Math.max(1, width / (longest + GAP.length()));
        for (int from = 0; from < entries.size(); from += perLine) {
            StringBuilder line = new StringBuilder();
            entries.subList(from, Math.min(entries.size(), from + perLine))
                    .forEach(entry -> line.append(GAP).append(pad(entry, longest)));
            text.append(line.toString().stripTrailing()).append('\n');
        }
    }

    /** Returns two characters that no other answer of the table has: its verdict, and who or what. */
    private static String sign(Outcome outcome, Collection<String> others) {
        String first = switch (outcome.verdict()) {
            case COHERENT -> "";
            case CORRUPTED -> "C";
            case LEAKED -> "L";
            case REFUSED -> "R";
            case NOT_APPLICABLE -> "-";
        };
        if (first.isEmpty()) {
            return ".";
        }
        if (outcome.blame() != null) {
            return first + outcome.blame().name().charAt(0);
        }
        if (outcome.verdict() == Verdict.REFUSED && outcome.errno() == null) {
            return first;
        }
        char second = 'a';
        while (others.contains(first + second)) {
            second++;
        }
        return first + second;
    }

    /** Adds words that go on below where they begin. */
    private static void hanging(StringBuilder text, String begin, String words, int columns) {
        StringBuilder line = new StringBuilder(begin);
        for (String word : words.split(" ", -1)) {
            boolean begun = line.length() > begin.length();
            if (begun && line.length() + 1L + word.length() > columns) {
                text.append(line).append('\n');
                line = new StringBuilder(" ".repeat(begin.length()));
                begun = false;
            }
            line.append(begun ? " " : "").append(word);
        }
        text.append(line).append('\n');
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
