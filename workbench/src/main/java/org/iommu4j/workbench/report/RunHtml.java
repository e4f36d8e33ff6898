// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import static org.iommu4j.workbench.output.HtmlPage.element;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.iommu4j.audit.Markup;
import org.iommu4j.bits.Hex;
import org.iommu4j.device.DeviceId;
import org.iommu4j.release.RuleSheet;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.StaleRead;
import org.iommu4j.workbench.output.HtmlPage;
import org.iommu4j.workbench.report.WordStory.Row;
import org.iommu4j.workbench.report.WordStory.Shown;
import org.iommu4j.workbench.scenario.DecisionStep;
import org.iommu4j.workbench.scenario.DomainOutcome;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.TimelineEntry;

/**
 * Prints an outcome as one HTML file: what happened in two sentences, a picture of each word that devices used, the
 * decisions, and all of it once more as tables.
 */
public final class RunHtml {
    /** Rules for verdicts and pictures, beside those of every page. */
    static final String STYLE = """
            .CORRUPTED,.LEAKED{color:var(--bad)}.REFUSED{color:var(--open)}.NOT_APPLICABLE{color:var(--mute)}
            .about{color:var(--mute);margin:0 0 1rem}.legend{display:flex;flex-wrap:wrap;gap:.3rem 1.4rem;
            margin:.3rem 0;font-size:.92em;list-style:none;padding:0}.legend svg{vertical-align:-3px;margin-right:.4rem}
            .story.sample{display:inline}.sentence{font-size:1.1rem;margin:.2rem 0 .8rem}
            .step .source{font-family:ui-monospace,monospace;overflow-wrap:anywhere}
            @media print{.about,.legend,.sentence{break-after:avoid}}
            """;

    /** The title of a first column with the numbers of events. */
    private static final String NUMBER = "at";

    private final Outcome outcome;
    private final List<WordStory> stories;
    private final StringBuilder html = new StringBuilder();

    private RunHtml(Outcome outcome) {
        this.outcome = outcome;
        this.stories = WordStory.of(outcome);
    }

    /** Returns the file's text. */
    public static String of(Outcome outcome) {
        return new RunHtml(outcome).page();
    }

    private String page() {
        html.append(HtmlPage.begin(title(outcome) + " - iommu4j run", STYLE + StoryPicture.STYLE));
        html.append("<main>\n<h1>")
                .append(Markup.escape(title(outcome) + ": "))
                .append(element("span", outcome.verdict().name(), verdict(outcome)))
                .append("</h1>\n");
        html.append(element("p", "about", outcome.about())).append('\n');
        html.append(element("p", "sentence", Summary.of(outcome, stories))).append('\n');
        if (outcome.unexpected() != null) {
            html.append(element(
                            "p", "verdict", "This is not as the case's page expects: " + outcome.unexpected() + "."))
                    .append('\n');
        }
        if (!stories.isEmpty()) {
            legend(html);
        }
        pictures(html, outcome, stories, "h2", "run");
        decisions();
        tables();
        return html.append("</main>\n").append(HtmlPage.END).toString();
    }

    /** Returns what ran where. */
    static String title(Outcome outcome) {
        return outcome.caseName() + " on " + outcome.machine() + ", Linux " + outcome.linux();
    }

    /** Returns the verdict with who is to blame, in words. */
    static String verdict(Outcome outcome) {
        if (outcome.reason() != null) {
            return "not applicable (" + outcome.reason() + ")";
        }
        if (outcome.errno() != null) {
            return outcome.verdict() + " with " + outcome.errno();
        }
        if (outcome.blame() == null) {
            return outcome.verdict().name();
        }
        return outcome.verdict() + " by " + (outcome.blame() == Blame.HOST ? "the host" : "the guest's driver");
    }

    /** Adds a picture of each word, under a heading of that element. */
    static void pictures(StringBuilder html, Outcome outcome, List<WordStory> stories, String heading, String id) {
        for (int i = 0; i < stories.size(); i++) {
            WordStory story = stories.get(i);
            html.append(element(heading, "", "The line " + addresses(outcome, story)))
                    .append('\n');
            String sentence = story.wrongReads().isEmpty()
                    ? "Every read of this word saw the value last written."
                    : Summary.of(outcome, story, story.wrongReads().get(0));
            html.append(HtmlPage.scrolling("Picture of the line " + Hex.of(story.word())))
                    .append(StoryPicture.svg(story, sentence, id + "-" + (i + 1)))
                    .append("</div>\n");
        }
    }

    /** A word's physical address, and the address that each device has for it. */
    private static String addresses(Outcome outcome, WordStory story) {
        return Hex.of(story.word())
                + outcome.timeline().stream()
                        .map(TimelineEntry::event)
                        .filter(event -> event.iova() != -1 && event.address() == story.word())
                        .findFirst()
                        .map(event -> " (IOVA " + Hex.of(event.iova()) + " for the device)")
                        .orElse("");
    }

    /** Adds what the boxes and arrows of pictures mean; a page with pictures needs it once. */
    static void legend(StringBuilder html) {
        html.append("<ul id=\"legend\" class=\"legend\" aria-label=\"Legend of the pictures\">");
        for (Freshness freshness : Freshness.values()) {
            html.append("<li><svg class=\"story sample\" width=\"22\" height=\"16\" aria-hidden=\"true\">")
                    .append("<rect class=\"")
                    .append(freshness)
                    .append("\" x=\"2\" y=\"2\" width=\"18\" height=\"12\" rx=\"3\"/></svg>")
                    .append(Markup.escape(freshness.words().replaceFirst("^(\\w+)", "$1 value")))
                    .append("</li>");
        }
        way(html, "", "load, store, line that moves, no-snoop DMA");
        way(html, " SNOOPED", "snooped DMA");
        way(html, " FLUSH", "flush");
        way(html, " wrong", "wrong read; red dots: what led to it");
        html.append("</ul>\n");
    }

    private static void way(StringBuilder html, String style, String words) {
        html.append("<li><svg class=\"story sample\" width=\"40\" height=\"16\" aria-hidden=\"true\">")
                .append("<path class=\"way")
                .append(style)
                .append("\" d=\"M2 8H38\"/>")
                .append(style.equals(" SNOOPED") ? "<path class=\"core\" d=\"M2 8H38\"/>" : "")
                .append("</svg>")
                .append(words)
                .append("</li>");
    }

    // ---- decisions -----------------------------------------------------------------------------------------------

    private void decisions() {
        if (outcome.path().isEmpty()) {
            return;
        }
        html.append(element("h2", "", "How it was decided")).append("\n<div class=\"path\">");
        String arrow = "";
        for (DecisionStep step : outcome.path()) {
            html.append(arrow)
                    .append("<div class=\"step\">")
                    .append(Markup.escape(step.question()))
                    .append(element("b", "", step.answer()));
            step.functions().forEach(function -> html.append(element("div", "source", function)));
            html.append("</div>");
            arrow = "<span class=\"arrow\" aria-hidden=\"true\">&rarr;</span>";
        }
        html.append("</div>\n");
        if (outcome.path().stream().anyMatch(step -> !step.rules().isEmpty())) {
            header("The rules of Linux " + outcome.linux(), "decision", "rule", "since", "value", "evidence");
            for (DecisionStep step : outcome.path()) {
                for (RuleSheet.Row rule : step.rules()) {
                    rule.periods().forEach(value -> rule(step, rule, value));
                }
            }
            end();
        }
    }

    private void rule(DecisionStep step, RuleSheet.Row rule, RuleSheet.Value value) {
        String evidence = value.evidence().name().toLowerCase(Locale.ROOT);
        row(
                step.question(),
                rule.module() + "." + rule.name(),
                value.from(),
                value.value() + (value.words().isEmpty() ? "" : ", " + value.words()),
                value.commits().isEmpty() ? evidence : evidence + ": " + String.join(", ", value.commits()));
    }

    // ---- tables --------------------------------------------------------------------------------------------------

    private void tables() {
        if (!outcome.domains().isEmpty()) {
            header("Domains", "devices", "enforce_cache_coherency");
            for (DomainOutcome domain : outcome.domains()) {
                row(
                        Values.join(domain.devices().stream()
                                .map(DeviceId::toString)
                                .toList()),
                        domain.enforceCacheCoherency().toString());
            }
            end();
        }
        if (outcome.noSnoopSent() > 0) {
            header("No-snoop requests", "sent", "blocked by the IOMMU", "past the caches");
            row(
                    Integer.toString(outcome.noSnoopSent()),
                    Integer.toString(outcome.noSnoopBlocked()),
                    Integer.toString(outcome.noSnoopPassed()));
            end();
        }
        if (!outcome.staleReads().isEmpty()) {
            header("Wrong reads", NUMBER, "who", "address", "saw", "expected", "because");
            for (StaleRead read : outcome.staleReads()) {
                row(
                        Integer.toString(read.at()),
                        read.who(),
                        Hex.of(read.address()),
                        Hex.of(read.observed()),
                        Hex.of(read.expected()),
                        read.why());
            }
            end();
        }
        stories.forEach(this::states);
        if (!outcome.timeline().isEmpty()) {
            header("All events", NUMBER, "where", "who", "what");
            for (TimelineEntry entry : outcome.timeline()) {
                row(
                        Integer.toString(entry.at()),
                        entry.lane().name().toLowerCase(Locale.ROOT),
                        entry.who(),
                        entry.text());
            }
            end();
        }
    }

    /** The picture as a table: what was where after each row. */
    private void states(WordStory story) {
        List<Place> holders = story.places().stream()
                .filter(place ->
                        story.stays().stream().anyMatch(stay -> stay.place().equals(place)))
                .toList();
        List<String> titles = new ArrayList<>(List.of(NUMBER, "what"));
        holders.forEach(place -> titles.add(place.name()));
        header("What was where: " + Hex.of(story.word()), titles.toArray(new String[0]));
        for (Row row : story.rows()) {
            List<String> cells = new ArrayList<>();
            cells.add(StoryPicture.numbers(row));
            cells.add(StoryPicture.subject(row) + row.words());
            for (Place place : holders) {
                Shown shown = row.copies().get(place);
                cells.add(
                        shown == null
                                ? "-"
                                : Values.of(shown.value()) + " ("
                                        + shown.freshness().words() + ")");
            }
            row(cells.toArray(new String[0]));
        }
        end();
    }

    private void header(String heading, String... titles) {
        html.append(element("h2", "", heading))
                .append('\n')
                .append(HtmlPage.scrolling(heading))
                .append("<table")
                .append(titles[0].equals(NUMBER) ? " class=\"numbered\"" : "")
                .append("><thead><tr>");
        for (String title : titles) {
            html.append("<th scope=\"col\">").append(Markup.escape(title)).append("</th>");
        }
        html.append("</tr></thead><tbody>\n");
    }

    private void row(String... cells) {
        html.append("<tr>");
        for (String cell : cells) {
            html.append(element("td", "", cell));
        }
        html.append("</tr>\n");
    }

    private void end() {
        html.append("</tbody></table></div>\n");
    }
}
