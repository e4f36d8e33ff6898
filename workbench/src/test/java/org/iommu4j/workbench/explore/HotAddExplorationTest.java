// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.scenario.NotApplicableException;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A device comes while its virtual machine runs. */
class HotAddExplorationTest {
    @ParameterizedTest
    @ValueSource(strings = {"6.1", "6.6", "6.12", "7.3"})
    void aLateRegistrationIsFoundAndItsCorrectionClosesIt(String release) {
        Explored added = Explored.example("hot-added", "intel-nosc", release);
        Outcome outcome = added.assertFound("stale read", 10);
        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
        added.fixed("maskFollowsEveryLoad").assertClean();
    }

    /** The guest's WBINVD came before the device: KVM ignored it, and the device reads old memory. */
    @Test
    void aWbinvdThatWasIgnoredIsFoundAndItsCorrectionClosesIt() {
        Explored added = Explored.example("hot-added", "intel-nosc", "7.3")
                .withText("await gpu, wbinvd, ring gpu", "wbinvd, await gpu, ring gpu");
        added.fixed("maskFollowsEveryLoad").assertFound("stale read", 9);
        added.fixed("maskFollowsEveryLoad", "flushesOnRegistration").assertClean();
    }

    @Test
    void entriesThatStayWhenADeviceComesAreFoundUntil66() {
        Outcome outcome =
                Explored.example("hot-added-uncached", "intel-nosc", "6.6").assertFound("stale read", 9);
        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
        Explored.example("hot-added-uncached", "intel-nosc", "6.6")
                .fixed("dropsEntriesOnChange=6.7")
                .assertClean();
        Explored.example("hot-added-uncached", "intel-nosc", "6.7").assertClean();
        Explored.example("hot-added-uncached", "intel-nosc", "7.3").assertClean();
    }

    /** Dropped entries help only stores that come after the device. */
    @ParameterizedTest
    @ValueSource(strings = {"6.6", "6.12", "7.3"})
    void aStoreBeforeTheDeviceStaysInACacheAndAFlushOnRegistrationClosesIt(String release) {
        Explored stored = Explored.example("uncached-before-hot-add", "intel-nosc", release);
        Outcome outcome = stored.assertFound("stale read", 6);
        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
        stored.fixed("flushesOnRegistration").assertClean();
    }

    /** Entries go when a device comes only while the quirk about the guest's PAT is on. */
    @ParameterizedTest
    @ValueSource(strings = {"6.12.78", "6.16", "7.3"})
    void entriesThatStayWhenTheQuirkIsTurnedOffAreFoundAndACorrectionClosesIt(String release) {
        Explored switched = Explored.example("quirk-switched", "intel-nosc", release);
        Outcome outcome = switched.assertFound("stale read", 10);
        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
        switched.fixed("dropsEntriesOnQuirkChange").assertClean();
    }

    /** Of all corrections this one alone is missing. */
    @Test
    void noOtherCorrectionHelpsAgainstAQuirkThatIsTurnedOffLate() {
        Explored.example("quirk-switched", "intel-nosc", "7.3")
                .fixed(
                        "maskKeepsOwnCpu",
                        "maskEmptiedWhilePinned",
                        "maskFollowsEveryLoad",
                        "flushesOnRegistration",
                        "wbinvdReachesAllCpus")
                .assertFound("stale read", 10);
    }

    @ParameterizedTest
    @ValueSource(strings = {"intel-sc", "intel-mixed-fs"})
    void aQuirkThatIsTurnedOffLateIsNoMatterWhereNoSnoopIsBlocked(String machine) {
        Explored.example("quirk-switched", machine, "7.3").assertClean();
    }

    @ParameterizedTest
    @CsvSource({
        "intel-nosc, 6.15, KVM of Linux 6.15 has no quirk IGNORE_GUEST_PAT",
        "intel-no-self-snoop, 7.3, KVM of Linux 7.3 has no quirk IGNORE_GUEST_PAT to turn off without self-snoop",
        "amd, 7.3, KVM of Linux 7.3 has no quirk IGNORE_GUEST_PAT with SVM"
    })
    void aPageThatTurnsAQuirkOffDoesNotApplyWhereThereIsNone(String machine, String release, String message) {
        Explored switched = Explored.example("quirk-switched", machine, release);
        assertThatThrownBy(switched::report)
                .isInstanceOf(NotApplicableException.class)
                .hasMessage(message);
    }
}
