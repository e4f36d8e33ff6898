// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Random;
import java.util.stream.Stream;
import org.iommu4j.witness.Witnesses;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A live kernel and our iommufd answer random sequences of calls alike, and devices that are bound to it reach the same
 * memory. The properties are those of {@link LiveVfioIT}. A kernel without iommufd, as Debian builds them, is skipped.
 */
class LiveIommufdIT {
    static Stream<String> kernels() {
        return LiveVfioIT.kernels();
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("kernels")
    void everyAnswerIsTheKernels(String named) {
        Path folder = Path.of(named.substring(0, named.lastIndexOf(' ')));
        LiveMachine machine = LiveMachine.valueOf(named.substring(named.lastIndexOf(' ') + 1));
        long seed = Long.getLong("iommu4j.seed", System.nanoTime());
        int most = Integer.getInteger("iommu4j.kernel.calls", 2000);
        if (LiveKernel.isKnownToLack(folder, "CONFIG_IOMMUFD")) {
            throw Witnesses.unfit("live kernel", "it is configured without iommufd");
        }
        try (LiveKernel kernel = LiveKernel.boot(folder, machine, 1)) {
            if (!kernel.hasIommufd()) {
                throw Witnesses.unfit("live kernel " + kernel.release(), "it has no iommufd");
            }
            LiveComparison comparison = new LiveComparison(kernel);
            RandomIommufdSequences random = new RandomIommufdSequences(
                    new Random(seed), LiveKernel.FUNCTIONS.size(), comparison.functionsForDma());
            comparison.compare(most, random::next);
            System.out.printf(
                    "iommufd beside Linux %s on %s in %s: %s; -Diommu4j.seed=%d%n",
                    kernel.release(), machine, kernel.qemu(), comparison, seed);
            System.out.println(comparison.answers());
            assertThat(comparison.differences())
                    .as("-Diommu4j.seed=%d -Diommu4j.kernel.calls=%d", seed, most)
                    .isEmpty();
            assertThat(kernel.complaints()).isEmpty();
        }
    }
}
