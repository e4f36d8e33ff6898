// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.iommu4j.it.kernel.Replay.Comparison;
import org.iommu4j.witness.NeedsSharedData;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * VFIO answers a program as the kernels that it was run on, from the first call to the last, and its devices reach what
 * theirs reached.
 */
class VfioReplayTest {
    static List<Path> transcripts() {
        return SharedData.files("linux/vfio", ".txt");
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("transcripts")
    @NeedsSharedData("linux/vfio")
    void everyAnswerIsTheKernels(Path file) {
        Transcript transcript = Transcript.read(file);
        VfioProgram program = new VfioProgram(KernelHost.of(transcript), transcript);
        Comparison comparison = program.run().compare(transcript);
        System.out.printf("VFIO of Linux %s on %s: %s%n", transcript.release(), transcript.machine(), comparison);
        assertThat(comparison.different()).isEmpty();
        assertThat(comparison.compared()).isGreaterThan(250);
        assertThat(program.pinned()).isZero();
    }
}
