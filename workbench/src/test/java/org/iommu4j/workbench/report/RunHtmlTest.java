// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import javax.xml.parsers.ParserConfigurationException;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.TimelineEntry;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Element;
import org.xml.sax.SAXException;

class RunHtmlTest {
    @Test
    void everyPageStandsAloneAndNeedsNoScript() {
        for (Outcome outcome : Library.RUNS) {
            String html = RunHtml.of(outcome);

            assertThat(html)
                    .as(Library.name(outcome))
                    .doesNotContain("<script", "http:", "https:", " src=", "@import", "url(")
                    .contains("<html lang=\"en\">", "prefers-color-scheme:dark", "@media print")
                    .containsOnlyOnce("<h1>")
                    .endsWith("</body></html>\n");
            assertThat(html.chars()).as("ASCII, right in every locale").allMatch(c -> c < 0x7f);
            assertThat(new HashSet<>(Drawings.ids(html))).hasSameSizeAs(Drawings.ids(html));
        }
    }

    @Test
    void everyWordThatADeviceUsedHasAPictureWithNameAndDescription()
            throws ParserConfigurationException, IOException, SAXException {
        for (Outcome outcome : Library.RUNS) {
            List<String> pictures = Drawings.of(RunHtml.of(outcome));

            assertThat(pictures).as(Library.name(outcome)).hasSameSizeAs(WordStory.of(outcome));
            for (String picture : pictures) {
                Element svg = Drawings.parse(picture);
                assertThat(svg.getAttribute("role")).isEqualTo("img");
                List<String> named = List.of(svg.getAttribute("aria-labelledby").split(" "));
                assertThat(named)
                        .containsExactly(
                                Drawings.elements(svg, "title").get(0).getAttribute("id"),
                                Drawings.elements(svg, "desc").get(0).getAttribute("id"));
                assertThat(Drawings.elements(svg, "desc").get(0).getTextContent())
                        .isNotBlank();
            }
        }
    }

    @Test
    void everyWrongReadIsDrawnAsOneAndInWords() throws ParserConfigurationException, IOException, SAXException {
        for (Outcome outcome : Library.RUNS) {
            int drawn = 0;
            for (String picture : Drawings.of(RunHtml.of(outcome))) {
                List<Element> wrong = Drawings.elements(Drawings.parse(picture), "path").stream()
                        .filter(path -> path.getAttribute("class").endsWith(" wrong"))
                        .toList();
                drawn += wrong.size();
            }

            assertThat(drawn).as(Library.name(outcome)).isEqualTo((int) outcome.staleReads().stream()
                    .filter(read -> !read.ofMemory())
                    .count());
        }
    }

    /** Widths of letters are estimates; what is drawn from them must be inside nevertheless. */
    @Test
    void nothingIsDrawnOutsideThePicture() throws ParserConfigurationException, IOException, SAXException {
        for (Outcome outcome : Library.RUNS) {
            for (String picture : Drawings.of(RunHtml.of(outcome))) {
                Element svg = Drawings.parse(picture);
                int width = Integer.parseInt(svg.getAttribute("width"));
                int height = Integer.parseInt(svg.getAttribute("height"));
                for (Element box : Drawings.elements(svg, "rect")) {
                    assertThat(end(box, "x", "width")).as(Library.name(outcome)).isLessThanOrEqualTo(width);
                    assertThat(end(box, "y", "height"))
                            .as(Library.name(outcome))
                            .isLessThanOrEqualTo(height);
                }
                for (Element text : Drawings.elements(svg, "text")) {
                    assertThat(Integer.parseInt(text.getAttribute("x"))).isBetween(0, width);
                    assertThat(Integer.parseInt(text.getAttribute("y"))).isBetween(0, height);
                }
            }
        }
    }

    private static int end(Element box, String from, String size) {
        String start = box.getAttribute(from);
        return (start.isEmpty() ? 0 : Integer.parseInt(start)) + Integer.parseInt(box.getAttribute(size));
    }

    @Test
    void theTableBelowHasEachRowOfThePictureInWords() {
        Outcome outcome = Library.run("wbinvd-mask-hole", "intel-nosc");

        assertThat(RunHtml.of(outcome))
                .contains(
                        "<td>10-11</td><td>vcpu0 stores 2222</td>"
                                + "<td>2222 (newest, only cached)</td><td>1111 (old)</td>",
                        "<td>15</td><td>01:00.0 reads 1111, no-snoop</td>"
                                + "<td>2222 (newest, only cached)</td><td>1111 (old)</td>");
    }

    @Test
    void textFromOutsideNeverBecomesMarkup() throws ParserConfigurationException, IOException, SAXException {
        String hostile = "<script>alert('x')</script>&\"\u001b[31m\nnext";
        Outcome outcome = hostile(Library.run("stale-host-data", "intel-nosc"), hostile);

        String html = RunHtml.of(outcome);

        assertThat(html).doesNotContain("<script", "\u001b", "alert('x')");
        for (String picture : Drawings.of(html)) {
            assertThat(Drawings.parse(picture).getTextContent()).contains("<script>alert('x')");
        }
        assertThat(CasesHtml.of(List.of(outcome))).doesNotContain("<script", "\u001b", "alert('x')");
    }

    private static Outcome hostile(Outcome outcome, String text) {
        List<TimelineEntry> timeline = outcome.timeline().stream()
                .map(entry -> new TimelineEntry(
                        entry.at(), entry.lane(), text + entry.who(), text + entry.text(), entry.event()))
                .toList();
        return new Outcome(
                text,
                text,
                outcome.linux(),
                text,
                text,
                outcome.verdict(),
                outcome.reason(),
                outcome.blame(),
                outcome.errno(),
                null,
                outcome.decision(),
                outcome.path(),
                outcome.domains(),
                outcome.noSnoopSent(),
                outcome.noSnoopBlocked(),
                outcome.noSnoopPassed(),
                outcome.staleReads(),
                timeline,
                outcome.earlier(),
                text);
    }
}
