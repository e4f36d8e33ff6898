// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.iommu4j.explorer.Bounds;
import org.iommu4j.explorer.Report;
import org.iommu4j.explorer.Settings;
import org.iommu4j.explorer.Violation;
import org.iommu4j.host.InputException;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.page.Programs.Property;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A domain promises to block no-snoop though something is mapped in it already. */
class PartialSnoopExplorationTest {
    private static Explored partialSnoop(String release) {
        return Explored.example("partial-snoop", "intel-sc", release);
    }

    @ParameterizedTest
    @ValueSource(strings = {"5.19", "6.6", "6.19", "7.3"})
    void aPromiseOverWhatIsMappedIsFoundAndTheRuleOf67ClosesIt(String release) {
        Explored page = partialSnoop(release);
        assertThat(page.report().violation().map(Violation::property)).contains("no-snoop after enforce");
        assertThat(page.report().violation().orElseThrow().path()).hasSize(4);
        Outcome outcome = page.never(Property.STALE_READ).assertFound("stale read", 10);
        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
        page.fixed("enforcement=6.7").assertClean();
    }

    @ParameterizedTest
    @ValueSource(strings = {"5.18", "6.7", "6.18"})
    void aDomainThatIsNotAskedOrRefusesGetsNoDevice(String release) {
        partialSnoop(release).assertClean();
    }

    /** Everything is mapped after the promise, and all of the programs is reached. */
    @ParameterizedTest
    @ValueSource(strings = {"5.19", "6.7", "6.18", "7.3"})
    void aPromiseOverAnEmptyDomainIsKept(String release) {
        Explored asked = partialSnoop(release).withText("map early, enforce", "enforce, map early");
        asked.assertClean();
        assertThat(asked.report().cover().depth()).isGreaterThan(9);
    }

    /** The page that the first device's HWPT has lets no-snoop pass, and the second one's upgrade is believed. */
    @Test
    void anUpgradedHwptOfIommufdIsFoundIn66Alone() {
        Explored handedOn = Explored.example("handing-on-hwpt", "intel-mixed", "6.6");
        Explored promise = handedOn.never(Property.NO_SNOOP_AFTER_ENFORCE);
        assertThat(promise.report().violation().orElseThrow().path()).hasSize(4);
        promise.fixed("enforcement=6.7").assertClean();
        assertThat(handedOn.assertFound("stale read", 14).verdict()).isEqualTo(Verdict.CORRUPTED);
        Explored.example("handing-on-hwpt", "intel-mixed", "6.7")
                .never(Property.NO_SNOOP_AFTER_ENFORCE)
                .assertClean();
    }

    @Test
    void workersAndSymmetryChangeNoAnswer() {
        Explored page = partialSnoop("7.3").never(Property.STALE_READ);
        Report one = page.explorer().explore(Settings.DEFAULT, Bounds.NONE, () -> false);
        for (Settings settings :
                new Settings[] {Settings.DEFAULT.withWorkers(2), Settings.DEFAULT.withSymmetry(false)}) {
            Report other = page.explorer().explore(settings, Bounds.NONE, () -> false);
            assertThat(other.violation().orElseThrow().path())
                    .hasSameSizeAs(one.violation().orElseThrow().path());
            assertThat(other.cover().depth()).isEqualTo(one.cover().depth());
        }
    }

    @Test
    void aDomainBesideStepsOfTheVmmIsRefused() {
        Explored page = partialSnoop("7.3");
        assertThatThrownBy(() -> page.withText("may:\n", "may:\n  vmm: [bind gpu]\n"))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("programs of the domains [shared] beside steps of the VMM, expected one domain");
    }
}
