// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A live kernel and our VFIO answer random sequences of calls alike, and their devices reach the same memory.
 *
 * <p>{@code -Diommu4j.kernel=FOLDER} names what {@code src/test/agent/prepare} made, several with the path's separator
 * between; {@code -Diommu4j.kernel.machines} the machines, {@code -Diommu4j.kernel.calls} the number of calls, and
 * {@code -Diommu4j.seed} replays what a failure printed.
 */
class LiveVfioIT {
    static Stream<String> kernels() {
        return LiveKernel.folders()
                .flatMap(folder -> Stream.of(System.getProperty("iommu4j.kernel.machines", "INTEL")
                                .split(",", -1))
                        .map(machine -> folder + " " + machine));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("kernels")
    void everyAnswerIsTheKernels(String named) {
        Path folder = Path.of(named.substring(0, named.lastIndexOf(' ')));
        LiveMachine machine = LiveMachine.valueOf(named.substring(named.lastIndexOf(' ') + 1));
        long seed = Long.getLong("iommu4j.seed", System.nanoTime());
        int most = Integer.getInteger("iommu4j.kernel.calls", 2000);
        long began = System.nanoTime();
        try (LiveKernel kernel = LiveKernel.boot(folder, machine, 1)) {
            double booted = secondsSince(began);
            LiveComparison comparison = new LiveComparison(kernel);
            RandomVfioSequences random = new RandomVfioSequences(
                    new Random(seed), LiveKernel.FUNCTIONS.size(), comparison.functionsForDma());
            comparison.compareMovedFunction();
            comparison.compare(most, random::next);
            System.out.printf(
                    "VFIO beside Linux %s on %s in %s: %s, %.0f s (boot %.0f s); -Diommu4j.seed=%d%n",
                    kernel.release(), machine, kernel.qemu(), comparison, secondsSince(began), booted, seed);
            System.out.println(comparison.answers());
            assertThat(comparison.differences())
                    .as("-Diommu4j.seed=%d -Diommu4j.kernel.calls=%d", seed, most)
                    .isEmpty();
            assertThat(kernel.complaints()).isEmpty();
        }
    }

    private static double secondsSince(long nanos) {
        return (System.nanoTime() - nanos) / 1e9;
    }
}
