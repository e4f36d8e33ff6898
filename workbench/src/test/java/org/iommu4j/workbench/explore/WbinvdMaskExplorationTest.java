// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.page.Programs.Property;
import org.iommu4j.workbench.page.Step;
import org.iommu4j.workbench.page.Verb;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The mask of CPUs that a guest's WBINVD reaches: its two windows are found from a guest that does all right. */
class WbinvdMaskExplorationTest {
    private static Explored flushed(String release) {
        return Explored.example("flushed-buffer", "intel-nosc", release);
    }

    @ParameterizedTest
    @ValueSource(strings = {"5.19-posted", "6.1", "6.6", "6.12", "6.18", "7.3"})
    void theFirstWindowIsFoundAndItsCorrectionClosesIt(String release) {
        Outcome outcome = flushed(release).never(Property.STALE_READ).assertFound("stale read", 15);
        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
        flushed(release).fixed("maskKeepsOwnCpu", "maskEmptiedWhilePinned").assertClean();
    }

    @Test
    void theFirstWindowIsWhereAFlushedCpuIsForgotten() {
        Outcome outcome = flushed("7.3").fixed("maskEmptiedWhilePinned").assertFound("dirty after wbinvd", 11);
        assertThat(outcome.verdict()).isEqualTo(Verdict.COHERENT);
    }

    /** The vCPU moves between the flush and the forgetting: its new CPU is forgotten with the others. */
    @Test
    void theSecondWindowIsLeftByTheFirstOnesCorrection() {
        Explored explored = flushed("7.3").fixed("maskKeepsOwnCpu").never(Property.STALE_READ);
        Outcome outcome = explored.assertFound("stale read", 16);
        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(explored.foundPage().steps())
                .extracting(Step::verb)
                .containsSequence(Verb.BEGIN_WBINVD, Verb.MOVE, Verb.END_WBINVD);
    }

    @Test
    void aDomainThatBlocksNoSnoopLeavesNothingToFind() {
        Explored.example("flushed-buffer", "intel-sc", "7.3").assertClean();
        Explored.example("flushed-buffer", "amd", "7.3").assertClean();
    }

    @ParameterizedTest
    @ValueSource(strings = {"6.1", "6.12", "7.3"})
    void aPrefetchByACpuOnWhichTheVcpuNeverRanIsFound(String release) {
        String[] windowsClosed = {"maskKeepsOwnCpu", "maskEmptiedWhilePinned"};
        Explored any = Explored.example("received-buffer", "intel-nosc", release);
        Outcome outcome = any.fixed(windowsClosed).assertFound("stale read", 11);
        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        any.fixed("maskKeepsOwnCpu", "maskEmptiedWhilePinned", "wbinvdReachesAllCpus")
                .assertClean();
        any.withText("any cpu", "running cpus").fixed(windowsClosed).assertClean();
    }
}
