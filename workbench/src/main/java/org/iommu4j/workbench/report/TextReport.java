// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import java.util.List;
import java.util.Locale;
import org.iommu4j.bits.Hex;
import org.iommu4j.device.DeviceId;
import org.iommu4j.host.Printable;
import org.iommu4j.release.RuleSheet;
import org.iommu4j.sim.verdict.StaleRead;
import org.iommu4j.workbench.scenario.Decision;
import org.iommu4j.workbench.scenario.DecisionStep;
import org.iommu4j.workbench.scenario.DomainOutcome;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.TimelineEntry;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Help.ColorScheme;

/** Prints an outcome for people: the verdict, then the decisions, then a timeline from top to bottom. */
public final class TextReport {
    private static final int LABEL = 26;

    /** The widest line of a sentence. */
    private static final int WIDTH = 110;

    private final ColorScheme colors;

    /** Makes a report in a terminal's colours. */
    public TextReport(ColorScheme colors) {
        this.colors = colors;
    }

    /** Returns the report. */
    public String of(Outcome outcome) {
        StringBuilder text = new StringBuilder();
        text.append(outcome.caseName())
                .append(" on ")
                .append(Printable.line(outcome.machine()))
                .append(outcome.vendor() == null ? "" : " (" + outcome.vendor() + ")")
                .append(", Linux ")
                .append(outcome.linux())
                .append(": ")
                .append(Paint.verdict(colors, outcome, headline(outcome)))
                .append('\n');
        text.append("  ").append(Printable.line(outcome.about())).append('\n');
        String refusal = outcome.refusal();
        if (refusal != null) {
            sentence(text, "  ", Printable.line(refusal));
        }
        String difference = outcome.unexpected();
        if (difference != null) {
            sentence(text, "  ", "This is not as the case's page expects: " + difference + ".");
        }
        text.append('\n');
        decision(text, outcome.decision());
        for (DomainOutcome domain : outcome.domains()) {
            line(
                    text,
                    "domain",
                    domain.devices().stream().map(DeviceId::toString).toList() + " " + domain.enforceCacheCoherency());
        }
        line(
                text,
                "no-snoop requests",
                outcome.noSnoopSent() + " sent, " + outcome.noSnoopBlocked() + " blocked, " + outcome.noSnoopPassed()
                        + " went past the caches");
        path(text, outcome.path());
        timeline(text, outcome.timeline());
        staleReads(text, outcome.staleReads());
        return text.toString();
    }

    private static String headline(Outcome outcome) {
        if (outcome.reason() != null) {
            return outcome.verdict() + ", " + outcome.reason();
        }
        if (outcome.errno() != null) {
            return outcome.verdict() + " with " + outcome.errno();
        }
        return outcome.blame() == null ? outcome.verdict().name() : outcome.verdict() + ", blame " + outcome.blame();
    }

    private static void decision(StringBuilder text, @Nullable Decision decision) {
        if (decision == null) {
            return;
        }
        line(text, "enforce_cache_coherency", decision.enforceCacheCoherency());
        Boolean dmaCc = decision.dmaCcIommu();
        line(text, "VFIO_DMA_CC_IOMMU", dmaCc == null ? null : dmaCc ? "1" : "0");
        Boolean noncoherent = decision.kvmNoncoherentDma();
        line(text, "KVM non-coherent DMA", noncoherent == null ? null : noncoherent ? "yes" : "no");
        line(text, "guest's WBINVD", decision.wbinvd());
        line(text, "guest memory type", decision.guestMemoryType());
    }

    /** Each decision with Linux's function, then the rules that this release has for it. */
    private static void path(StringBuilder text, List<DecisionStep> path) {
        if (path.isEmpty()) {
            return;
        }
        text.append("\n  how it was decided\n");
        for (DecisionStep step : path) {
            String functions = String.join(", ", step.functions());
            sentence(
                    text,
                    "    ",
                    step.question() + ": " + step.answer() + (functions.isEmpty() ? "" : "; " + functions));
            for (RuleSheet.Row rule : step.rules()) {
                for (RuleSheet.Value value : rule.periods()) {
                    sentence(text, "      ", rule(rule, value));
                }
            }
        }
    }

    private static String rule(RuleSheet.Row rule, RuleSheet.Value value) {
        String commits = String.join(", ", value.commits());
        return "rule " + rule.module() + "." + rule.name() + " since " + value.from() + ": " + value.value()
                + (value.words().isEmpty() ? "" : ", " + value.words())
                + " (" + value.evidence().name().toLowerCase(Locale.ROOT)
                + (commits.isEmpty() ? "" : "; " + commits) + ")";
    }

    private static void line(StringBuilder text, String label, @Nullable Object value) {
        if (value != null) {
            text.append("  ")
                    .append(label)
                    .append(" ".repeat(LABEL - label.length()))
                    .append(Printable.line(value.toString()))
                    .append('\n');
        }
    }

    /** A lane each for CPUs, caches and devices; a lane is as wide as its widest event. */
    private static void timeline(StringBuilder text, List<TimelineEntry> timeline) {
        if (timeline.isEmpty()) {
            return;
        }
        int cpu = width(timeline, TimelineEntry.Lane.CPU, "CPU");
        int cache = width(timeline, TimelineEntry.Lane.CACHE, "cache");
        text.append('\n')
                .append(String.format("  %3s  %-" + cpu + "s  %-" + cache + "s  %s%n", "at", "CPU", "cache", "device"));
        for (TimelineEntry entry : timeline) {
            if (entry.lane() == TimelineEntry.Lane.NOTE) {
                sentence(text, String.format("  %3d  -- ", entry.at()), entry.text());
                continue;
            }
            String words = words(entry);
            String row = switch (entry.lane()) {
                case CPU -> String.format("  %3d  %s", entry.at(), words);
                case CACHE -> String.format("  %3d  %" + cpu + "s  %s", entry.at(), "", words);
                case DEVICE -> String.format("  %3d  %" + cpu + "s  %" + cache + "s  %s", entry.at(), "", "", words);
                case NOTE -> throw new IllegalStateException(entry.toString());
            };
            text.append(row).append('\n');
        }
    }

    private static int width(List<TimelineEntry> timeline, TimelineEntry.Lane lane, String header) {
        return timeline.stream()
                .filter(entry -> entry.lane() == lane)
                .mapToInt(entry -> words(entry).length())
                .reduce(header.length(), Math::max);
    }

    private static String words(TimelineEntry entry) {
        return Printable.line(entry.who().isEmpty() ? entry.text() : entry.who() + " " + entry.text());
    }

    private static void staleReads(StringBuilder text, List<StaleRead> staleReads) {
        for (StaleRead read : staleReads) {
            text.append("\n  stale at ")
                    .append(read.at())
                    .append(": ")
                    .append(Printable.line(read.who()))
                    .append(" saw ")
                    .append(Hex.of(read.observed()))
                    .append(" at ")
                    .append(Hex.of(read.address()))
                    .append(", expected ")
                    .append(Hex.of(read.expected()))
                    .append('\n');
            sentence(text, "    ", read.why());
        }
    }

    /** Breaks between words, and indents what follows as far as the start. */
    private static void sentence(StringBuilder text, String start, String words) {
        text.append(start);
        int column = start.length();
        String separator = "";
        for (String word : Printable.line(words).split(" ", -1)) {
            if (column > start.length() && column + separator.length() + word.length() > WIDTH) {
                text.append('\n').append(" ".repeat(start.length()));
                column = start.length();
                separator = "";
            }
            text.append(separator).append(word);
            column += separator.length() + word.length();
            separator = " ";
        }
        text.append('\n');
    }
}
