// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.iommu4j.host.InputException;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.page.Programs.Property;
import org.iommu4j.workbench.page.Step;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A process' page is given to a guest: what of the old owner's data the guest's device sees. */
class LeakExplorationTest {
    private static Explored given(String machine, String release) {
        return Explored.example("given-page", machine, release);
    }

    @ParameterizedTest
    @ValueSource(strings = {"6.1", "6.12", "7.3"})
    void dataThatWereClearedInACacheAloneAreFound(String release) {
        Outcome outcome = given("intel-nosc", release).assertFound("leak", 5);
        assertThat(outcome.verdict()).isEqualTo(Verdict.LEAKED);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
    }

    @ParameterizedTest
    @CsvSource({"intel-sc, 7.3", "amd, 7.3", "intel-mixed, 6.1"})
    void nothingIsFoundWhereNoSnoopIsBlocked(String machine, String release) {
        given(machine, release).assertClean();
    }

    @Test
    void nothingIsFoundWhenTheKernelFlushesWhatItCleared() {
        given("intel-nosc", "7.3")
                .withText("[store page = 0]", "[store page = 0, clflush page]")
                .assertClean();
    }

    /** What the guest itself wrote is no leak, however old it is. */
    @Test
    void aReadersOwnOldDataAreNoLeak() {
        Explored old = Explored.example("flushed-buffer", "intel-nosc", "7.3");
        old.never(Property.STALE_READ).assertViolates("stale read");
        old.never(Property.LEAK).assertClean();
    }

    @Test
    void aPageIsGivenWhenTheHostHasDoneWithItAndTheGuestWaitsForThat() {
        Explored given = given("intel-nosc", "7.3").withText("evict: page, ", "");
        given.assertClean();
        assertThat(given.withText("never: [leak", "never: [stale read")
                        .foundPage()
                        .steps())
                .extracting(Step::words)
                .containsSubsequence("store page = 0", "give page to guest", "read page");
    }

    @Test
    void aValueThatTwoOwnersWriteIsRefusedWhereALeakIsLookedFor() {
        Explored same = given("intel-nosc", "7.3").withText("[read page]", "[write page = 0x5ec7e7, read page]");
        assertThatThrownBy(same::report)
                .isInstanceOf(InputException.class)
                .hasMessageContaining(".yaml:14: two owners write 0x5ec7e7 to 'page', expected values that tell");
        same.never(Property.STUCK).assertClean();
    }
}
