// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import static org.iommu4j.workbench.output.HtmlPage.element;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.BiFunction;
import org.iommu4j.LinuxRelease;
import org.iommu4j.audit.Markup;
import org.iommu4j.sim.verdict.StaleRead;
import org.iommu4j.workbench.output.HtmlPage;
import org.iommu4j.workbench.scenario.Decision;
import org.iommu4j.workbench.scenario.NotApplicable;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.TimelineEntry;
import org.jspecify.annotations.Nullable;

/**
 * Prints outcomes as one HTML file: for each machine a table of cases and releases, or for one release a table of cases
 * and machines. Cells lead to the pictures below; runs that look the same share one.
 */
public final class CasesHtml {
    private static final String STYLE = """
            .matrix td{border:1px solid var(--line);padding:.15rem .4rem;font-size:.85em}.matrix{width:auto}
            .matrix thead th{font-size:.8em;white-space:nowrap;vertical-align:bottom}
            .matrix tbody th{white-space:nowrap;border-bottom:1px solid var(--line);font-size:.9em;
            position:sticky;left:0;background:var(--page)}.matrix thead th{position:sticky;top:0;
            background:var(--page);z-index:1}.matrix thead th:first-child{left:0;z-index:2}
            .matrix a{color:inherit}section{border-top:2px solid var(--line);margin-top:2.5rem}
            .badcell{background:#fdebe7}.matrix .none{color:var(--mute)}
            @media screen{.scroll:has(.matrix){overflow:auto;max-height:92vh}}
            @media screen and (prefers-color-scheme:dark){.badcell{background:#40201a}}
            @media print{.matrix th{position:static!important}}
            """;

    /** A run with its pictures, and all runs that look like it. */
    private record Shown(String id, Outcome outcome, List<Outcome> runs) {}

    /** What a run shows: what its sentences and pictures are made of. */
    private record Essence(
            String caseName,
            String verdict,
            @Nullable String refusal,
            @Nullable Boolean kvmNoncoherentDma,
            List<StaleRead> staleReads,
            List<TimelineEntry> timeline) {}

    private final StringBuilder html = new StringBuilder();
    private final Map<Essence, Shown> pictures = new LinkedHashMap<>();
    /** Outcomes and the ids of their pictures, by {@link #key}. */
    private final Map<String, Outcome> cells = new HashMap<>();

    private final Map<String, String> anchors = new HashMap<>();

    private CasesHtml() {}

    /** Returns the file's text. */
    public static String of(List<Outcome> outcomes) {
        return new CasesHtml().page(outcomes);
    }

    private String page(List<Outcome> outcomes) {
        Set<String> machines = new LinkedHashSet<>();
        Set<LinuxRelease> releases = new LinkedHashSet<>();
        Map<String, String> about = new LinkedHashMap<>();
        for (Outcome outcome : outcomes) {
            machines.add(outcome.machine());
            releases.add(outcome.linux());
            about.put(outcome.caseName(), outcome.about());
            cells.put(key(outcome.caseName(), outcome.machine(), outcome.linux()), outcome);
            draw(outcome);
        }
        html.append(HtmlPage.begin("iommu4j cases", RunHtml.STYLE + STYLE + StoryPicture.STYLE));
        html.append("<main id=\"top\">\n<h1>Cases, machines and releases</h1>\n<p class=\"about\">")
                .append("A cell leads to the picture of its run. Releases with the same answer and picture share one.")
                .append("</p>\n");
        absences(outcomes);
        if (releases.size() == 1) {
            LinuxRelease only = releases.iterator().next();
            matrix(
                    "Linux " + only,
                    about.keySet(),
                    List.copyOf(machines),
                    (name, machine) -> key(name, machine, only),
                    false);
        } else {
            for (String machine : machines) {
                matrix(
                        machine,
                        about.keySet(),
                        List.copyOf(releases),
                        (name, linux) -> key(name, machine, linux),
                        true);
            }
        }
        html.append("<h2>What the cases are about</h2>\n<dl>");
        about.forEach((name, words) -> html.append(element("dt", "", name)).append(element("dd", "", words)));
        html.append("</dl>\n");
        if (!pictures.isEmpty()) {
            html.append(element("h2", "", "How to read the pictures")).append('\n');
            RunHtml.legend(html);
        }
        pictures.values().forEach(this::section);
        return html.append("</main>\n").append(HtmlPage.END).toString();
    }

    /** Says what the reasons mean that stand in cells without a picture. */
    private void absences(List<Outcome> outcomes) {
        List<NotApplicable> reasons = outcomes.stream()
                .map(Outcome::reason)
                .filter(Objects::nonNull)
                .distinct()
                .sorted()
                .toList();
        if (!reasons.isEmpty()) {
            html.append("<p class=\"about\">A dash says why a case can&#39;t show its story there.</p>\n<dl>");
            reasons.forEach(reason ->
                    html.append(element("dt", "", reason.toString())).append(element("dd", "", meaning(reason))));
            html.append("</dl>\n");
        }
    }

    private static String meaning(NotApplicable reason) {
        return switch (reason) {
            case NO_ENFORCEMENT -> "no domain blocks no-snoop: the release, the driver or a unit can't";
            case NEEDS_KVM_X86 -> "the case has a virtual machine, and the CPUs have neither VMX nor SVM";
            case NO_DRIVER -> "no driver, or no silicon, knows the machine's IOMMU";
            case RELEASE_NOT_BUILT -> "a driver that the machine needs is not built for the release";
            case RELEASE_LACKS -> "the release has no iommufd, or none with device files";
            case MACHINE_LACKS -> "the machine lacks an IOMMU, or a device or CPU that the case names";
        };
    }

    /** Remembers where an outcome is shown; one that is not applicable has no picture. */
    private void draw(Outcome outcome) {
        if (outcome.reason() == null) {
            Decision decision = outcome.decision();
            Essence essence = new Essence(
                    outcome.caseName(),
                    RunHtml.verdict(outcome),
                    outcome.refusal(),
                    decision == null ? null : decision.kvmNoncoherentDma(),
                    outcome.staleReads(),
                    outcome.timeline());
            Shown shown = pictures.computeIfAbsent(
                    essence, unused -> new Shown("run-" + (pictures.size() + 1), outcome, new ArrayList<>()));
            shown.runs().add(outcome);
            anchors.put(key(outcome.caseName(), outcome.machine(), outcome.linux()), shown.id());
        }
    }

    private static String key(String name, String machine, LinuxRelease linux) {
        return name + " " + machine + " " + linux;
    }

    /**
     * Adds a table with a row for each case.
     *
     * @param key of a cell
     * @param join whether neighbours with the same answer and picture share a cell
     */
    private <T> void matrix(
            String title, Set<String> names, List<T> columns, BiFunction<String, T, String> key, boolean join) {
        html.append(element("h2", "", title))
                .append('\n')
                .append(HtmlPage.scrolling(title))
                .append("<table class=\"matrix\"><thead><tr><th scope=\"col\">case</th>");
        columns.forEach(column -> html.append("<th scope=\"col\">")
                .append(Markup.escape(column.toString()))
                .append("</th>"));
        html.append("</tr></thead><tbody>\n");
        for (String name : names) {
            html.append("<tr><th scope=\"row\">").append(Markup.escape(name)).append("</th>");
            for (int from = 0, to; from < columns.size(); from = to) {
                String cell = key.apply(name, columns.get(from));
                to = from + 1;
                while (join && to < columns.size() && same(cell, key.apply(name, columns.get(to)))) {
                    to++;
                }
                cell(cell, to - from);
            }
            html.append("</tr>\n");
        }
        html.append("</tbody></table></div>\n");
    }

    private boolean same(String one, String other) {
        return Objects.equals(answer(one), answer(other)) && Objects.equals(anchors.get(one), anchors.get(other));
    }

    private @Nullable String answer(String cell) {
        Outcome outcome = cells.get(cell);
        return outcome == null ? null : RunHtml.verdict(outcome);
    }

    private void cell(String key, int columns) {
        html.append("<td colspan=\"").append(columns).append('"');
        Outcome outcome = cells.get(key);
        String anchor = anchors.get(key);
        if (outcome == null) {
            html.append("></td>");
        } else if (anchor == null) {
            html.append(" class=\"none\">- ").append(outcome.reason()).append("</td>");
        } else {
            html.append(" class=\"")
                    .append(outcome.verdict())
                    .append(outcome.bad() ? " badcell" : "")
                    .append("\"><a href=\"#")
                    .append(anchor)
                    .append("\">")
                    .append(Markup.escape(RunHtml.verdict(outcome)))
                    .append("</a></td>");
        }
    }

    private void section(Shown shown) {
        Outcome outcome = shown.outcome();
        List<WordStory> stories = WordStory.of(outcome);
        html.append("<section id=\"").append(shown.id()).append("\">\n<h2>");
        html.append(Markup.escape(outcome.caseName() + ": "))
                .append(element("span", outcome.verdict().name(), RunHtml.verdict(outcome)))
                .append("</h2>\n");
        html.append(element("p", "about", runs(shown.runs()))).append('\n');
        html.append(element("p", "sentence", Summary.of(outcome, stories))).append('\n');
        RunHtml.pictures(html, outcome, stories, "h3", shown.id());
        html.append("<p><a href=\"#top\">Back to the tables</a>, ")
                .append("<a href=\"#legend\">how to read the pictures</a></p>\n</section>\n");
    }

    /** Says which runs a picture shows: machines, each with its releases. */
    private static String runs(List<Outcome> runs) {
        Map<String, List<String>> releases = new LinkedHashMap<>();
        runs.forEach(run -> releases.computeIfAbsent(run.machine(), unused -> new ArrayList<>())
                .add(run.linux().toString()));
        List<String> words = new ArrayList<>();
        releases.forEach((machine, linux) -> words.add(machine + " (Linux " + linux.get(0)
                + (linux.size() > 1 ? " to " + linux.get(linux.size() - 1) : "") + ")"));
        return "On " + Values.join(words) + ".";
    }
}
