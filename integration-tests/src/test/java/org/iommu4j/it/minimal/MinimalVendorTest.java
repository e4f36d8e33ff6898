// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.minimal;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.Errno;
import org.iommu4j.LinuxRelease;
import org.iommu4j.kvm.GuestMemoryType;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.workbench.cases.GuestForgetsFlush;
import org.iommu4j.workbench.cases.GuestNoSnoop;
import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.CaseRunner;
import org.iommu4j.workbench.scenario.Decision;
import org.iommu4j.workbench.scenario.Enforcement;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.Wbinvd;
import org.iommu4j.workbench.verdict.Blame;
import org.iommu4j.workbench.verdict.Verdict;
import org.junit.jupiter.api.Test;

/** A stranger's vendor runs the built-in cases without a change elsewhere, and its missing abilities have their consequences. */
class MinimalVendorTest {
    private static Outcome run(Case story, boolean coherent) {
        return new CaseRunner(MachineFactory.load(), IommuVendors.load())
                .run(story, MinimalSilicon.machine(coherent), LinuxRelease.NEWEST);
    }

    @Test
    void vfioRefusesADeviceWithoutCacheCoherency() {
        Outcome outcome = run(new GuestNoSnoop(), false);

        assertThat(outcome.vendor()).isEqualTo("minimal");
        assertThat(outcome.verdict()).isEqualTo(Verdict.REFUSED);
        assertThat(outcome.errno()).isEqualTo(Errno.EINVAL);
        assertThat(outcome.refusal()).contains("CACHE_COHERENCY");
        assertThat(outcome.decision()).isNull();
        assertThat(outcome.domains()).isEmpty();
    }

    @Test
    void withoutTheEnforcementOpKvmMustExecuteWbinvd() {
        Outcome outcome = run(new GuestNoSnoop(), true);

        assertThat(outcome.decision())
                .isEqualTo(new Decision(Enforcement.ABSENT, false, true, Wbinvd.EXECUTED, GuestMemoryType.GUEST_PAT));
        assertThat(outcome.verdict()).isEqualTo(Verdict.COHERENT);
        assertThat(outcome.noSnoopSent()).isEqualTo(2);
        assertThat(outcome.noSnoopPassed()).isEqualTo(2);
    }

    @Test
    void aGuestThatForgetsToFlushReadsOldData() {
        Outcome outcome = run(new GuestForgetsFlush(), true);

        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.blame()).isEqualTo(Blame.GUEST_DRIVER);
    }
}
