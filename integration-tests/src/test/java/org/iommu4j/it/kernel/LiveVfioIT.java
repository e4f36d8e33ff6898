// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A live kernel and our VFIO answer random sequences of calls alike, and their devices reach the same memory.
 * {@link LiveRun} has the properties.
 */
class LiveVfioIT {
    static Stream<LiveRun> runs() {
        return LiveRun.all("INTEL");
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("runs")
    void everyAnswerIsTheKernels(LiveRun run) {
        try (LiveKernel kernel = run.boot()) {
            LiveComparison comparison = new LiveComparison(kernel);
            comparison.compareMovedFunction();
            LiveRun.compare("VFIO", kernel, comparison, RandomVfioCalls.ODD_IOVAS, RandomVfioCalls::new);
        }
    }
}
