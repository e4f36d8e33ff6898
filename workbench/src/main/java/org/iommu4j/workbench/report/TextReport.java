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

    /** Where the first lane begins. */
    private static final int FIRST_LANE = 7;

    /** Columns between the starts of two lanes, at the least. */
    private static final int INDENT = 7;

    private final ColorScheme colors;
    private final int width;

    /**
     * Makes a report in a terminal's colours.
     *
     * @param width columns of a line; only a single word can be longer
     */
    public TextReport(ColorScheme colors, int width) {
        this.colors = colors;
        this.width = width;
    }

    /** Returns the report. */
    public String of(Outcome outcome) {
        StringBuilder text = new StringBuilder();
        String title = outcome.caseName() + " on " + Printable.line(outcome.machine())
                + (outcome.vendor() == null ? "" : " (" + outcome.vendor() + ")") + ", Linux " + outcome.linux() + ":";
        String headline = headline(outcome);
        text.append(title)
                .append(title.length() + 1 + headline.length() > width ? "\n  " : " ")
                .append(Paint.verdict(colors, outcome, headline))
                .append('\n');
        sentence(text, "  ", outcome.about());
        String refusal = outcome.refusal();
        if (refusal != null) {
            sentence(text, "  ", refusal);
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

    private void decision(StringBuilder text, @Nullable Decision decision) {
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
    private void path(StringBuilder text, List<DecisionStep> path) {
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

    private void line(StringBuilder text, String label, @Nullable Object value) {
        if (value != null) {
            sentence(text, "  " + label + " ".repeat(LABEL - label.length()), value.toString());
        }
    }

    /**
     * A lane each for CPUs, caches and devices. A row has one event, so lanes may overlap: where the terminal is
     * narrow, a lane begins as far to the left as its widest event needs.
     */
    private void timeline(StringBuilder text, List<TimelineEntry> timeline) {
        if (timeline.isEmpty()) {
            return;
        }
        int cpu = width(timeline, TimelineEntry.Lane.CPU, "CPU");
        int cache = width(timeline, TimelineEntry.Lane.CACHE, "cache");
        int device = width(timeline, TimelineEntry.Lane.DEVICE, "device");
        int deviceLane = lane(FIRST_LANE + cpu + 2 + cache + 2, device, FIRST_LANE + 2 * INDENT);
        int cacheLane = Math.min(
                lane(FIRST_LANE + cpu + 2, cache, FIRST_LANE + INDENT),
                Math.max(FIRST_LANE + INDENT, (FIRST_LANE + deviceLane) / 2));
        text.append('\n')
                .append("   at  ")
                .append(pad("CPU", cacheLane - FIRST_LANE))
                .append(pad("cache", deviceLane - cacheLane))
                .append("device\n");
        for (TimelineEntry entry : timeline) {
            String number = String.format("  %3d  ", entry.at());
            switch (entry.lane()) {
                case NOTE -> sentence(text, number + "-- ", entry.text());
                case CPU -> sentence(text, number, words(entry));
                case CACHE -> sentence(text, pad(number, cacheLane), words(entry));
                case DEVICE -> sentence(text, pad(number, deviceLane), words(entry));
            }
        }
    }

    /** Returns where a lane begins: where it would like to, or as far to the left as it needs. */
    private int lane(int natural, int widest, int least) {
        return Math.max(least, Math.min(natural, width - widest));
    }

    private static String pad(String text, int width) {
        return text + " ".repeat(Math.max(0, width - text.length()));
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

    private void staleReads(StringBuilder text, List<StaleRead> staleReads) {
        for (StaleRead read : staleReads) {
            text.append('\n');
            sentence(
                    text,
                    "  stale at " + read.at() + ": ",
                    read.who() + " saw " + Hex.of(read.observed()) + " at " + Hex.of(read.address()) + ", expected "
                            + Hex.of(read.expected()));
            sentence(text, "    ", read.why());
        }
    }

    /** Breaks between words, and indents what follows as far as the start. */
    private void sentence(StringBuilder text, String start, String words) {
        text.append(start);
        int column = start.length();
        String separator = "";
        for (String word : Printable.line(words).split(" ", -1)) {
            if (column > start.length() && column + separator.length() + word.length() > width) {
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
