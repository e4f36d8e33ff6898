// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Optional;
import org.iommu4j.explorer.Violation;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.page.Programs.Property;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Devices that share tables: what one promises and another one breaks is found, and only where a release has it. */
class HwptExplorationTest {
    /** What mends these stories, whatever the release. */
    private static final String[] FIXES = {
        "keepsEnforceableApart", "enforcement=6.7", "filesAskWholeGroups", "firstStageAttach=6.18", "failedMove=6.18"
    };

    @ParameterizedTest
    @CsvSource({
        "joining-hwpt, intel-mixed, 7.3",
        "joining-hwpt, intel-mixed, 6.7",
        "handing-on-hwpt, intel-mixed, 6.6",
        "handing-on-hwpt, intel-mixed, 7.3",
        "mixed-group, intel-mixed-group, 6.2",
        "mixed-group, intel-mixed-group, 7.3"
    })
    void dmaThatKvmTakesForCoherentIsFound(String page, String machine, String release) {
        Explored explored = Explored.example(page, machine, release);
        assertThat(explored.report().violation()).isPresent();
        Outcome outcome = explored.explorer().run(explored.foundPage());
        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
    }

    @ParameterizedTest
    @CsvSource({
        "joining-hwpt, intel-mixed, 6.6",
        "joining-hwpt, intel-sc, 7.3",
        "handing-on-hwpt, intel-sc, 6.6",
        "mixed-group, intel-mixed-group, 6.1",
        "two-devices, intel-mixed-fs, 6.18",
        "replacing-hwpt, intel-mixed, 6.18"
    })
    void nothingIsFoundWhereTheRuleIsAnother(String page, String machine, String release) {
        Explored.example(page, machine, release).assertClean();
    }

    @Test
    void aFirstStageWithoutACheckIsFoundByTheDmaThatIsRefused() {
        Explored.example("two-devices", "intel-mixed-fs", "6.19").assertViolates("unexpected fault");
        Explored.example("two-devices", "intel-mixed-fs", "7.3").assertViolates("unexpected fault");
    }

    @Test
    void aDeviceThatARefusedReplaceLeftBlockedIsFound() {
        Explored.example("replacing-hwpt", "intel-mixed", "6.19").assertViolates("unexpected fault");
        Explored.example("replacing-hwpt", "intel-mixed", "7.3").assertViolates("unexpected fault");
    }

    @ParameterizedTest
    @CsvSource({
        "joining-hwpt, intel-mixed, 7.3, 2",
        "handing-on-hwpt, intel-mixed, 6.6, 6",
        "mixed-group, intel-mixed-group, 7.3, 0",
        "two-devices, intel-mixed-fs, 7.3, -1",
        "joining-hwpt, intel-mixed, 6.6, -1",
        "mixed-group, intel-mixed-group, 6.1, -1"
    })
    void noSnoopThatKvmDoesNotKnowOfIsFoundBeforeAnyDma(String page, String machine, String release, int length) {
        Optional<Violation> found = Explored.example(page, machine, release)
                .never(Property.NO_SNOOP_UNKNOWN_TO_KVM)
                .report()
                .violation();
        assertThat(found.map(each -> each.path().size()).orElse(-1)).isEqualTo(length);
    }

    /** The silicon lets nothing pass that a domain promised to block, whatever the VMM does. */
    @ParameterizedTest
    @CsvSource({"joining-hwpt, 7.3", "joining-hwpt, 6.7", "replacing-hwpt, 6.19", "two-devices, 6.12"})
    void aPromiseIsKept(String page, String release) {
        Explored.example(page, "intel-mixed", release)
                .never(Property.NO_SNOOP_AFTER_ENFORCE)
                .assertClean();
    }

    /** Each story with the one fix that it needs, and with all others. */
    @ParameterizedTest
    @CsvSource({
        "joining-hwpt, intel-mixed, 6.7, keepsEnforceableApart",
        "joining-hwpt, intel-mixed, 7.3, keepsEnforceableApart",
        "handing-on-hwpt, intel-mixed, 6.6, enforcement=6.7",
        "handing-on-hwpt, intel-mixed, 6.12, keepsEnforceableApart",
        "handing-on-hwpt, intel-mixed, 7.3, keepsEnforceableApart",
        "mixed-group, intel-mixed-group, 6.2, filesAskWholeGroups",
        "mixed-group, intel-mixed-group, 7.3, filesAskWholeGroups",
        "two-devices, intel-mixed-fs, 7.3, firstStageAttach=6.18",
        "replacing-hwpt, intel-mixed, 7.3, failedMove=6.18"
    })
    void oneFixClosesAStoryAndAllOthersDoNot(String page, String machine, String release, String fix) {
        Explored explored = Explored.example(page, machine, release);
        explored.fixed(fix).assertClean();
        explored.fixed(FIXES).assertClean();
        String[] others =
                Arrays.stream(FIXES).filter(other -> !other.equals(fix)).toArray(String[]::new);
        Violation with = explored.fixed(others).report().violation().orElseThrow();
        Violation without = explored.report().violation().orElseThrow();
        assertThat(with.property()).isEqualTo(without.property());
        assertThat(with.path()).hasSameSizeAs(without.path());
    }
}
