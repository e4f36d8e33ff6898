// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.workbench.page.Programs.Property;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A domain that does not promise to block no-snoop obliges KVM: it is told, and the guest's WBINVD works. */
class WbinvdContractExplorationTest {
    private static Explored of(String page, String machine, String release) {
        return Explored.example(page, machine, release).never(Property.WBINVD_WITHOUT_EFFECT);
    }

    @Test
    void aDeviceThatIsOpenedBeforeKvmIsToldIsFoundAndTheRightOrderClosesIt() {
        Explored untold = of("opened-untold", "intel-nosc", "7.3");
        untold.assertFound("wbinvd without effect", 2);
        untold.withText("open gpu, kvm add gpu", "kvm add gpu, open gpu").assertClean();
        of("opened-untold", "intel-sc", "7.3").assertClean();
        of("opened-untold", "amd", "7.3").assertClean();
    }

    @ParameterizedTest
    @CsvSource({
        "joining-hwpt, intel-mixed, 7.3, 2",
        "handing-on-hwpt, intel-mixed, 7.3, 6",
        "mixed-group, intel-mixed-group, 7.3, 0"
    })
    void whatKvmIsNotToldOfIsFoundBeforeAnyWbinvd(String page, String machine, String release, int length) {
        Explored explored = of(page, machine, release);
        assertThat(explored.report().violation().orElseThrow().path()).hasSize(length);
    }

    @ParameterizedTest
    @CsvSource({"joining-hwpt, intel-mixed, 6.6", "mixed-group, intel-mixed-group, 6.1"})
    void nothingIsFoundWhereKvmIsTold(String page, String machine, String release) {
        of(page, machine, release).assertClean();
    }

    /** Up to 6.6 a domain promised although it had mappings: who believes it breaks no contract, the domain does. */
    @Test
    void aPromiseThatIsNotKeptIsAnotherProperty() {
        of("handing-on-hwpt", "intel-mixed", "6.6").assertClean();
        Explored.example("handing-on-hwpt", "intel-mixed", "6.6")
                .never(Property.NO_SNOOP_AFTER_ENFORCE)
                .assertViolates("no-snoop after enforce");
    }

    /** The mask of CPUs is part of the same contract: a WBINVD reaches all that the vCPU left dirty. */
    @Test
    void theWindowsOfTheMaskAreFoundAndTheirCorrectionsCloseThem() {
        Explored flushed = of("flushed-buffer", "intel-nosc", "7.3");
        flushed.assertFound("wbinvd without effect", 11);
        flushed.fixed("maskKeepsOwnCpu").assertViolates("wbinvd without effect");
        flushed.fixed("maskEmptiedWhilePinned").assertViolates("wbinvd without effect");
        flushed.fixed("maskKeepsOwnCpu", "maskEmptiedWhilePinned").assertClean();
    }

    /** A WBINVD before the device comes is nobody's promise, one after it is. */
    @Test
    void aLateRegistrationIsFoundByTheWbinvdAfterIt() {
        Explored added = of("hot-added", "intel-nosc", "7.3");
        added.assertViolates("wbinvd without effect");
        added.fixed("maskFollowsEveryLoad").assertClean();
        added.fixed("maskFollowsEveryLoad")
                .withText("await gpu, wbinvd, ring gpu", "wbinvd, await gpu, ring gpu")
                .assertClean();
    }
}
