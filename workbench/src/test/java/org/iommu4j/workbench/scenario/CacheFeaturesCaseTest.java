// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.LinuxRelease;
import org.iommu4j.sim.spi.CacheFeatures;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.Workbench;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The same stories on processors whose caches differ. */
class CacheFeaturesCaseTest {
    private final Workbench workbench = Workbench.create();

    private Verdict verdict(String story, CacheFeatures features) {
        MachineDescription machine = workbench.machines().named("intel-nosc");
        return workbench
                .runner()
                .run(
                        workbench.caseNamed(story),
                        machine.withProcessors(machine.processors().withFeatures(features)),
                        LinuxRelease.NEWEST)
                .verdict();
    }

    /** WBINVD empties the shared cache, and an inclusive one makes the CPU that KVM forgot drop its line. */
    @ParameterizedTest
    @ValueSource(strings = {"wbinvd-mask-hole", "wbinvd-mask-window"})
    void anInclusiveCacheHidesThatKvmForgotACpu(String story) {
        assertThat(verdict(story, CacheFeatures.ORDINARY)).isEqualTo(Verdict.CORRUPTED);
        assertThat(verdict(story, CacheFeatures.ORDINARY.withInclusive(true))).isEqualTo(Verdict.COHERENT);
    }

    /** Inclusion helps only where someone executes WBINVD. */
    @ParameterizedTest
    @ValueSource(strings = {"guest-forgets-flush", "guest-no-snoop-unreported"})
    void anInclusiveCacheHidesNoMissingFlush(String story) {
        assertThat(verdict(story, CacheFeatures.ORDINARY.withInclusive(true)))
                .isEqualTo(verdict(story, CacheFeatures.ORDINARY))
                .isEqualTo(Verdict.CORRUPTED);
    }
}
