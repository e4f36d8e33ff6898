// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class HostEvidenceTest {
    private static final String ALLOWED = "vfio_iommu_type1.allow_unsafe_interrupts=1";

    @Test
    @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void whetherUnsafeInterruptsAreAllowedMayBeAskedForEachOfManyDevices() {
        HostEvidence evidence = HostEvidence.builder("host")
                .commandLine("quiet ".repeat(10_000) + ALLOWED, new Source("command line", Rank.SYSFS))
                .build();
        int allowed = 0;
        for (int i = 0; i < EvidenceBuilder.MAX_FUNCTIONS; i++) {
            allowed += evidence.unsafeInterruptsAllowed() ? 1 : 0;
        }
        assertThat(allowed).isEqualTo(EvidenceBuilder.MAX_FUNCTIONS);
    }

    @Test
    void whatTheModuleSaysOfUnsafeInterruptsCountsBeforeTheCommandLine() {
        assertThat(HostEvidence.builder("host").build().unsafeInterruptsAllowed())
                .isFalse();
        assertThat(HostEvidence.builder("host")
                        .unsafeInterrupts(false, new Source("module", Rank.SYSFS))
                        .commandLine(ALLOWED, new Source("command line", Rank.SYSFS))
                        .build()
                        .unsafeInterruptsAllowed())
                .isFalse();
    }
}
