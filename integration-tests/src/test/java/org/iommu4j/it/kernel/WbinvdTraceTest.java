// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A trace shows whether a registration of non-coherent DMA wrote caches back. */
class WbinvdTraceTest {
    private static final String LOADED = "vcpu_load: (kvm_arch_vcpu_load+0x0/0x250) cpu=0";
    private static final String REGISTERED = "register: (kvm_arch_register_noncoherent_dma+0x0/0x20)";
    private static final String EMULATED = "emulate_wbinvd: (kvm_emulate_wbinvd+0x0/0x20)";
    private static final String ALL = "all_cpus: (wbinvd_on_all_cpus+0x0/0x30)";
    private static final String RAN = "ran2: (__wbinvd+0x0/0x10)";

    private static List<TranscriptLine> test(String... hits) {
        List<TranscriptLine> lines = new ArrayList<>();
        lines.add(new TranscriptLine(1, "-- T7.1 a test"));
        for (String hit : hits) {
            int cpu = hit.equals(RAN) ? 1 : 2;
            lines.add(new TranscriptLine(lines.size() + 1, "TRACE init-1 [00" + cpu + "] d..1. 12.34: " + hit));
        }
        return lines;
    }

    @Test
    void whatWritesBackBeforeTheGuestAsksIsTold() {
        assertThat(WbinvdTrace.writtenBackUnasked(test(LOADED, REGISTERED, ALL, RAN, EMULATED, RAN)))
                .containsExactly("all_cpus on CPU 2", "ran2 on CPU 1");
        assertThat(WbinvdTrace.writtenBackUnasked(test(LOADED, ALL, REGISTERED, EMULATED)))
                .containsExactly("all_cpus on CPU 2");
        assertThat(WbinvdTrace.writtenBackUnasked(test(LOADED, REGISTERED, EMULATED, RAN)))
                .isEmpty();
    }

    @Test
    void aRegistrationIsLateWhereAVcpuRanBefore() {
        assertThat(WbinvdTrace.registersLate(test(LOADED, REGISTERED, EMULATED)))
                .isTrue();
        assertThat(WbinvdTrace.registersLate(test(REGISTERED, LOADED, EMULATED)))
                .isFalse();
        assertThat(WbinvdTrace.registersLate(test(LOADED, EMULATED))).isFalse();
    }
}
