// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import static org.iommu4j.workbench.output.HtmlPage.element;

import java.util.List;
import java.util.Objects;
import org.iommu4j.audit.Markup;
import org.iommu4j.explorer.Cover;
import org.iommu4j.explorer.Ended;
import org.iommu4j.explorer.Report;
import org.iommu4j.explorer.Step;
import org.iommu4j.explorer.Violation;
import org.iommu4j.workbench.output.HtmlPage;
import org.iommu4j.workbench.scenario.Outcome;
import org.jspecify.annotations.Nullable;

/**
 * Prints an exploration as one HTML file: the answer in a sentence, what was covered, the shortest way to a violation,
 * and the picture of a run of that way.
 */
public final class ExploreHtml {
    private ExploreHtml() {}

    /**
     * Returns the file's text.
     *
     * @param title what was explored where
     * @param about what the page is about
     * @param report what came out
     * @param outcome of a run of the violation's way; null when there is no violation, or its way has no one outcome
     */
    public static String of(String title, String about, Report report, @Nullable Outcome outcome) {
        Objects.requireNonNull(report);
        Violation violation = report.violation().orElse(null);
        StringBuilder html =
                new StringBuilder(HtmlPage.begin(title + " - iommu4j explore", RunHtml.STYLE + StoryPicture.STYLE));
        html.append("<main>\n<h1>").append(Markup.escape(title + ": ")).append(answer(violation, report.cover()));
        html.append("</h1>\n");
        html.append(element("p", "about", about)).append('\n');
        html.append(element("p", "sentence", sentence(violation, report.cover())))
                .append('\n');
        report.cover()
                .statement()
                .lines()
                .forEach(line -> html.append(element("p", "about", line)).append('\n'));
        if (violation != null) {
            html.append(element("h2", "", "The shortest way")).append("\n<ol>");
            for (Step step : violation.path()) {
                html.append(element("li", "", step.text()));
            }
            html.append("</ol>\n");
        }
        if (outcome != null) {
            List<WordStory> stories = WordStory.of(outcome);
            html.append("<h2>A run of these steps: ")
                    .append(element("span", outcome.verdict().name(), RunHtml.verdict(outcome)))
                    .append("</h2>\n");
            html.append(element("p", "sentence", Summary.of(outcome, stories))).append('\n');
            if (outcome.staleReads().isEmpty()) {
                html.append(element(
                                "p",
                                "about",
                                "No read of this run is wrong: what must not be is a state after its last step."))
                        .append('\n');
            }
            RunHtml.legend(html);
            RunHtml.pictures(html, outcome, stories, "h3", "run");
        }
        return html.append("</main>\n").append(HtmlPage.END).toString();
    }

    /** Returns the answer in the colour of a verdict as good or bad, or of one that is open. */
    private static String answer(@Nullable Violation violation, Cover cover) {
        if (violation != null) {
            return element("span", "NONCOHERENT", violation.property());
        }
        return element("span", cover.ended() == Ended.COMPLETE ? "COHERENT" : "UNKNOWN", "nothing found");
    }

    private static String sentence(@Nullable Violation violation, Cover cover) {
        if (violation != null) {
            return "The page says that this must never be: " + violation.property() + ". "
                    + (cover.ended() == Ended.VIOLATION ? "The shortest way to it has " : "A way to it has ")
                    + violation.path().size() + " events.";
        }
        return cover.ended() == Ended.COMPLETE
                ? "No order of the events leads to what must not be."
                : "Nothing that must not be was found, but not every order was tried: " + cover.ended() + ".";
    }
}
