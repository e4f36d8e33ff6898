// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.release;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.Predicate;
import org.iommu4j.LinuxRelease;
import org.jspecify.annotations.Nullable;

/**
 * Rules of several modules for readers: those that decide coherence first, then in the order of the modules.
 *
 * @param about which releases it is about, such as {@code Linux 6.18 to 6.19}
 * @param rules the rules
 */
public record RuleSheet(String about, List<Row> rules) {
    /** Characters of a line of Markdown. */
    private static final int WIDTH = 100;

    /**
     * A rule.
     *
     * @param module whose it is: a vendor's name, {@code core}, {@code vfio} or {@code kvm}
     * @param name the rule's name
     * @param sentence what it is about
     * @param decidesCoherence whether it can decide if a guest reads stale data
     * @param witness the test method that goes red when it is wrong
     * @param periods the values that the sheet is about, oldest first
     * @param proposed values that no release has
     */
    public record Row(
            String module,
            String name,
            String sentence,
            boolean decidesCoherence,
            String witness,
            List<Value> periods,
            List<String> proposed) {
        /** Copies the lists. */
        public Row {
            Objects.requireNonNull(module, "module");
            Objects.requireNonNull(name, "name");
            Objects.requireNonNull(sentence, "sentence");
            Objects.requireNonNull(witness, "witness");
            periods = List.copyOf(periods);
            proposed = List.copyOf(proposed);
        }

        private static <V> Row of(String module, ReleaseRule<V> rule, List<RulePeriod<V>> periods) {
            return new Row(
                    module,
                    rule.name(),
                    rule.sentence(),
                    rule.decidesCoherence(),
                    rule.witness(),
                    periods.stream().map(Value::of).toList(),
                    rule.proposed().stream().map(RuleSheet::shown).toList());
        }
    }

    /**
     * A rule's value from a release on.
     *
     * @param from the release
     * @param value the value: yes, no, or a name
     * @param words what it means, empty where the rule's sentence says it
     * @param evidence how it is known
     * @param commits the commits that brought it
     */
    public record Value(String from, String value, String words, Evidence evidence, List<String> commits) {
        /** Copies the list. */
        public Value {
            Objects.requireNonNull(from, "from");
            Objects.requireNonNull(value, "value");
            Objects.requireNonNull(words, "words");
            Objects.requireNonNull(evidence, "evidence");
            commits = List.copyOf(commits);
        }

        private static Value of(RulePeriod<?> period) {
            String words = period.value() instanceof RuleValue value ? value.words() : "";
            return new Value(
                    period.from().toString(), shown(period.value()), words, period.evidence(), period.commits());
        }
    }

    /** Copies the list. */
    public RuleSheet {
        Objects.requireNonNull(about, "about");
        rules = List.copyOf(rules);
    }

    /**
     * Returns all rules with all their values.
     *
     * @param modules the rules of each module, in the order in which they are to be shown
     */
    public static RuleSheet of(Map<String, List<ReleaseRule<?>>> modules) {
        Objects.requireNonNull(modules, "modules");
        return sheet("Linux " + LinuxRelease.known().get(0) + " to " + LinuxRelease.NEWEST, modules, new Choice() {
            @Override
            public <V> List<RulePeriod<V>> of(ReleaseRule<V> rule) {
                return rule.periods();
            }
        });
    }

    /**
     * Returns all rules with the values that hold in a kernel, or with all values where none is named.
     *
     * @param kernel a release or what {@code uname -r} prints
     * @throws IllegalArgumentException when it is neither, or no rules are built for it
     */
    public static RuleSheet of(@Nullable String kernel, Map<String, List<ReleaseRule<?>>> modules) {
        Objects.requireNonNull(modules, "modules");
        return kernel == null ? of(modules) : in(LinuxRelease.of(kernel), modules);
    }

    /**
     * Returns all rules with the values that hold in a release, or may hold in an enterprise kernel.
     *
     * @throws IllegalArgumentException when no rules are built for the release
     */
    public static RuleSheet in(LinuxRelease release, Map<String, List<ReleaseRule<?>>> modules) {
        Objects.requireNonNull(modules, "modules");
        if (release.mayHold().isEmpty()) {
            throw new IllegalArgumentException(
                    "no rules for Linux release '" + release + "'; known: " + LinuxRelease.known());
        }
        String about = "Linux " + release
                + (release.isEnterprise()
                        ? ", an enterprise kernel: its drivers may be those of any release from "
                                + release.mayHold().get(0) + " to " + LinuxRelease.NEWEST
                        : "");
        return sheet(about, modules, new Choice() {
            @Override
            public <V> List<RulePeriod<V>> of(ReleaseRule<V> rule) {
                return rule.mayHoldIn(release);
            }
        });
    }

    /**
     * Returns the rules that changed in a range of releases.
     *
     * @param range two releases or kernels, such as {@code 6.6..6.7}
     * @throws IllegalArgumentException when it is no range, or no rules are built for one of them
     */
    public static RuleSheet diff(String range, Map<String, List<ReleaseRule<?>>> modules) {
        Objects.requireNonNull(modules, "modules");
        String[] ends = range.split("\\.\\.", -1);
        if (ends.length != 2) {
            throw new IllegalArgumentException(
                    "'" + range + "' is no range of releases, expected for example 6.6..6.7");
        }
        return diff(LinuxRelease.of(ends[0]), LinuxRelease.of(ends[1]), modules);
    }

    /**
     * Returns the rules that changed from one release to another, each with the value that it had and those since.
     *
     * @throws IllegalArgumentException when no rules are built for one of them
     */
    public static RuleSheet diff(LinuxRelease older, LinuxRelease newer, Map<String, List<ReleaseRule<?>>> modules) {
        Objects.requireNonNull(modules, "modules");
        for (LinuxRelease release : List.of(older, newer)) {
            if (!release.isKnown()) {
                throw new IllegalArgumentException(
                        "no rules for Linux release '" + release + "'; known: " + LinuxRelease.known());
            }
        }
        return sheet("Linux " + older + " to " + newer, modules, new Choice() {
            @Override
            public <V> List<RulePeriod<V>> of(ReleaseRule<V> rule) {
                List<RulePeriod<V>> changes = rule.between(older, newer);
                return changes.size() == 1 ? List.of() : changes;
            }
        });
    }

    /** Which periods of a rule are shown; a rule without any is left out. */
    private interface Choice {
        <V> List<RulePeriod<V>> of(ReleaseRule<V> rule);
    }

    private static RuleSheet sheet(String about, Map<String, List<ReleaseRule<?>>> modules, Choice choice) {
        List<Row> rows = new ArrayList<>();
        modules.forEach((module, rules) -> rules.forEach(rule -> {
            Row row = row(module, rule, choice);
            if (!row.periods().isEmpty()) {
                rows.add(row);
            }
        }));
        rows.sort(Comparator.comparing(row -> !row.decidesCoherence()));
        return new RuleSheet(about, rows);
    }

    private static <V> Row row(String module, ReleaseRule<V> rule, Choice choice) {
        return Row.of(module, rule, choice.of(rule));
    }

    private static String shown(Object value) {
        return value instanceof Boolean yes ? (yes ? "yes" : "no") : value.toString();
    }

    private long deciding() {
        return rules.stream().filter(Row::decidesCoherence).count();
    }

    /**
     * Returns the sheet as text.
     *
     * @param columns characters that a line has at most, where its words allow it
     */
    public String text(int columns) {
        StringBuilder text = new StringBuilder();
        text.append(wrapped(about + ": " + count(), "", "  ", columns));
        for (Row row : rules) {
            text.append('\n')
                    .append(row.module)
                    .append(": ")
                    .append(row.name)
                    .append(row.decidesCoherence ? " (decides coherence)\n" : "\n")
                    .append(wrapped(row.sentence, "  ", "  ", columns));
            int width = row.periods.stream()
                    .mapToInt(period -> period.from.length())
                    .max()
                    .orElse(0);
            String hanging = " ".repeat(width + 8);
            for (Value period : row.periods) {
                String from = "    " + period.from + " ".repeat(width - period.from.length()) + "  ";
                text.append(wrapped(meaning(period) + " [" + source(period) + "]", from, hanging, columns));
            }
            for (String value : row.proposed) {
                text.append("    PROPOSED, in no release: ").append(value).append('\n');
            }
        }
        return text.toString();
    }

    private String count() {
        if (rules.isEmpty()) {
            return "no rule differs";
        }
        return rules.size() + (rules.size() == 1 ? " rule, " : " rules, ") + deciding() + " of them "
                + (deciding() == 1 ? "decides" : "decide") + " coherence";
    }

    private static String meaning(Value period) {
        return period.words.isEmpty() ? period.value : period.value + ": " + period.words;
    }

    private static String source(Value period) {
        String evidence = period.evidence.name().toLowerCase(Locale.ROOT);
        return period.commits.isEmpty() ? evidence : evidence + ", " + String.join(", ", period.commits);
    }

    private static String wrapped(String words, String first, String hanging, int columns) {
        StringBuilder text = new StringBuilder();
        StringBuilder line = new StringBuilder(first);
        boolean fresh = true;
        for (String word : words.split(" ", -1)) {
            if (!fresh && line.length() + 1 + word.length() > columns) {
                text.append(line).append('\n');
                line = new StringBuilder(hanging);
                fresh = true;
            }
            line.append(fresh ? "" : " ").append(word);
            fresh = false;
        }
        return text.append(line).append('\n').toString();
    }

    /** Returns the sheet as Markdown: a table for each rule, under a heading for those that decide coherence. */
    public String markdown() {
        StringBuilder text = new StringBuilder();
        heading(text, "Rules that decide coherence", Row::decidesCoherence);
        heading(text, "Other rules", row -> !row.decidesCoherence);
        return text.toString();
    }

    private void heading(StringBuilder text, String title, Predicate<Row> belongs) {
        List<Row> rows = rules.stream().filter(belongs).toList();
        if (rows.isEmpty()) {
            return;
        }
        text.append("## ").append(title).append(", ").append(about).append('\n');
        for (Row row : rows) {
            text.append("\n### ")
                    .append(row.module)
                    .append(": ")
                    .append(row.name)
                    .append("\n\n");
            text.append(wrapped(row.sentence, "", "", WIDTH));
            text.append(wrapped("Witness: `" + row.witness + "`.", "", "", WIDTH));
            text.append("\n| from | value | evidence | commits |\n|---|---|---|---|\n");
            for (Value period : row.periods) {
                text.append("| ")
                        .append(period.from)
                        .append(" | ")
                        .append(meaning(period))
                        .append(" | ")
                        .append(period.evidence.name().toLowerCase(Locale.ROOT))
                        .append(" | ")
                        .append(String.join(", ", period.commits))
                        .append(" |\n");
            }
            for (String value : row.proposed) {
                text.append("| PROPOSED | ").append(value).append(" | | |\n");
            }
        }
        text.append('\n');
    }
}
