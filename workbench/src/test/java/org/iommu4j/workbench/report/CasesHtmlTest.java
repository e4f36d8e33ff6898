// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import org.iommu4j.LinuxRelease;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.api.Test;

class CasesHtmlTest {
    private static final Pattern LINK = Pattern.compile("<a href=\"([^\"]*)\">");

    @Test
    void everyCellOfARunLeadsToAPictureInTheSameFile() {
        String html = CasesHtml.of(Library.RUNS);

        List<String> ids = Drawings.ids(html);
        assertThat(new HashSet<>(ids)).hasSameSizeAs(ids);
        Set<String> targets = new HashSet<>();
        LINK.matcher(html).results().forEach(link -> targets.add(link.group(1)));
        assertThat(targets).allSatisfy(target -> {
            assertThat(target).startsWith("#");
            assertThat(ids).contains(target.substring(1));
        });
        assertThat(ids.stream().filter(id -> id.matches("run-[0-9]+")).map(id -> "#" + id))
                .isSubsetOf(targets);
        assertThat(html).doesNotContain("<script", "http:", "https:", " src=");
    }

    @Test
    void runsThatLookTheSameShareAPicture() {
        List<Outcome> same = Library.RUNS.stream()
                .filter(outcome -> outcome.caseName().equals("wbinvd-mask-hole")
                        && outcome.machine().equals("intel-nosc"))
                .toList();

        String html = CasesHtml.of(same);

        assertThat(same).hasSize(3);
        assertThat(Drawings.of(html)).hasSize(1);
        assertThat(html)
                .contains(
                        "<td colspan=\"3\" class=\"CORRUPTED badcell\"><a href=\"#run-1\">CORRUPTED by",
                        "On intel-nosc (Linux " + LinuxRelease.known().get(0) + " to " + LinuxRelease.NEWEST + ").");
    }

    /** A page that is mailed and opened on a telephone. */
    @Test
    void theLibraryUnderThreeReleasesIsLessThanTwoMegabytes() {
        assertThat(CasesHtml.of(Library.RUNS).length()).isLessThan(2 << 20);
    }
}
