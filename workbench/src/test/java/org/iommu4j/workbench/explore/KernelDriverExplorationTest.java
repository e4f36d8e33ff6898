// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A driver of the kernel that flushes its buffer before its device reads with no-snoop. */
class KernelDriverExplorationTest {
    private static Explored flushed(String how, String machine) {
        return Explored.text("""
                case: flushed-by-the-kernel
                about: a driver of the kernel flushes its buffer, and its device reads with no-snoop
                actors:
                  kernel: {host: true, cpu: 0}
                  gpu:    {device: first, driver: kernel, no-snoop: true}
                memory:
                  buffer: {of: gpu}
                programs:
                  kernel: [store buffer = 0x1111, HOW, sfence, ring gpu]
                  gpu:    [await kernel, read buffer]
                never: [stale read]
                """.replace("HOW", how), machine, "7.3");
    }

    @ParameterizedTest
    @ValueSource(strings = {"clflush buffer", "wbinvd", "wbinvd everywhere"})
    void aFlushReachesMemory(String how) {
        flushed(how, "intel-nosc").assertClean();
    }

    /** There Linux has no flush for drivers, and only warns. */
    @ParameterizedTest
    @ValueSource(strings = {"clflush buffer", "wbinvd", "wbinvd everywhere"})
    void onRiscvThereIsNoFlush(String how) {
        Outcome outcome = flushed(how, "riscv").assertFound("stale read", 6);
        assertThat(outcome.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
    }
}
