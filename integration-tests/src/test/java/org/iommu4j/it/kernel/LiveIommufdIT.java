// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.stream.Stream;
import org.iommu4j.witness.Witnesses;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A live kernel and our iommufd answer random sequences of calls alike, and devices that are bound to it reach the same
 * memory. {@link LiveRun} has the properties. A kernel without iommufd, as Debian builds them, is skipped.
 */
class LiveIommufdIT {
    static Stream<LiveRun> runs() {
        return LiveRun.all("INTEL,INTEL_WITHOUT_SNOOP_CONTROL,INTEL_NESTING");
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("runs")
    void everyAnswerIsTheKernels(LiveRun run) {
        if (LiveKernel.isKnownToLack(run.folder(), "CONFIG_IOMMUFD")) {
            throw Witnesses.unfit("live kernel", "it is configured without iommufd");
        }
        try (LiveKernel kernel = run.boot()) {
            if (!kernel.hasIommufd()) {
                throw Witnesses.unfit("live kernel " + kernel.release(), "it has no iommufd");
            }
            LiveRun.compare(
                    "iommufd",
                    kernel,
                    new LiveComparison(kernel),
                    RandomIommufdCalls.ODD_IOVAS,
                    RandomIommufdCalls::new);
        }
    }
}
