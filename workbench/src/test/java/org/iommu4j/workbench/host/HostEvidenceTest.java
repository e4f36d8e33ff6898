// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class HostEvidenceTest {
    private static final String ALLOWED = "vfio_iommu_type1.allow_unsafe_interrupts=1";

    @Test
    @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void whetherUnsafeInterruptsAreAllowedMayBeAskedForEachOfManyDevices() {
        HostEvidence evidence = HostEvidence.builder("host")
                .commandLine("quiet ".repeat(10_000) + ALLOWED, "command line")
                .build();
        int allowed = 0;
        for (int i = 0; i < HostEvidence.Builder.MAX_FUNCTIONS; i++) {
            allowed += evidence.unsafeInterruptsAllowed() ? 1 : 0;
        }
        assertThat(allowed).isEqualTo(HostEvidence.Builder.MAX_FUNCTIONS);
    }

    @Test
    void whatTheModuleSaysOfUnsafeInterruptsCountsBeforeTheCommandLine() {
        assertThat(HostEvidence.builder("host").build().unsafeInterruptsAllowed())
                .isFalse();
        assertThat(HostEvidence.builder("host")
                        .unsafeInterrupts(false, "module")
                        .commandLine(ALLOWED, "command line")
                        .build()
                        .unsafeInterruptsAllowed())
                .isFalse();
    }
}
