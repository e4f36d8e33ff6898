// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import org.iommu4j.LinuxRelease;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.Workbench;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Flushes that wait for a fence, and fences, on a machine whose device reads past the caches. */
class FlushAndFenceStepsTest {
    private static final String PAGE = """
            case: my-flushes
            about: a store, what its driver does about it, and a read past the caches
            actors:
              vcpu0:  {vm: guest, cpu: 1}
              gpu:    {device: first, vm: guest, no-snoop: true}
              kernel: {host: true, cpu: 1}
            memory:
              buffer: {of: guest}
            steps:
              - WHO: store buffer = 0x1111
            STEPS
              - gpu: read buffer
            expect:
              - {verdict: COHERENT}
            """;

    private final Workbench workbench = Workbench.create();

    @ParameterizedTest
    @CsvSource({
        "vcpu0,  clflushopt buffer,               CORRUPTED",
        "vcpu0,  clflushopt buffer; WHO: sfence,  COHERENT",
        "vcpu0,  clflushopt buffer; WHO: mfence,  COHERENT",
        "vcpu0,  clwb buffer,                     CORRUPTED",
        "vcpu0,  clwb buffer; WHO: sfence,        COHERENT",
        "vcpu0,  sfence,                          CORRUPTED",
        "vcpu0,  clflush buffer,                  COHERENT",
        "kernel, clflushopt buffer,               CORRUPTED",
        "kernel, clflushopt buffer; WHO: sfence,  COHERENT",
        "kernel, clwb buffer; WHO: mfence,        COHERENT",
        "kernel, wbnoinvd,                        COHERENT",
        "vmm,    clwb buffer; WHO: sfence,        COHERENT",
        "vcpu0,  map buffer as WC; WHO: store buffer = 0x2222,                 CORRUPTED",
        "vcpu0,  map buffer as WC; WHO: store buffer = 0x2222; WHO: sfence,    COHERENT",
        "vcpu0,  map buffer as WC; WHO: store buffer = 0x2222; WHO: ring gpu,  COHERENT",
        "vcpu0,  clflushopt buffer; WHO: ring gpu,                             CORRUPTED"
    })
    void aFlushThatWaitsIsDoneAtTheFence(String who, String steps, Verdict verdict) {
        StringBuilder lines = new StringBuilder();
        for (String step : ("WHO: " + steps).split("; ", -1)) {
            lines.append(lines.length() == 0 ? "" : "\n").append("  - ").append(step);
        }
        String text = PAGE.replace("STEPS", lines).replace("WHO", who);
        Page page = PageReader.read("my-flushes.yaml", text.getBytes(StandardCharsets.UTF_8));

        assertThat(workbench
                        .runner()
                        .run(new PageCase(page), workbench.machines().named("intel-nosc"), LinuxRelease.NEWEST)
                        .verdict())
                .isEqualTo(verdict);
    }
}
