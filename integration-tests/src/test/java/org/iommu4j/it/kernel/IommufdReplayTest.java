// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.iommu4j.vfio.iommufd.IommufdOptions;
import org.iommu4j.witness.NeedsSharedData;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** iommufd over our drivers and silicon answers what it answered on real kernels, call by call. */
class IommufdReplayTest {
    static List<Path> iommufd() {
        return SharedData.files("linux/iommufd", ".txt");
    }

    @ParameterizedTest
    @MethodSource("iommufd")
    @NeedsSharedData("linux/iommufd")
    void iommufdAnswersAsTheKernelDid(Path path) {
        Transcript transcript = Transcript.read(path);
        KernelHost host = KernelHost.of(transcript);
        IommufdOptions options =
                IommufdOptions.DEFAULT.withRelease(transcript.release()).withNoIommu(true);
        IommufdProgram program =
                new IommufdProgram(host, host.process(Long.MAX_VALUE, true), transcript, options);
        List<String> differences = new ArrayList<>();
        try {
            program.run();
        } catch (RuntimeException failure) {
            failure.printStackTrace();
            differences.add("the program ended: " + failure);
        }
        Comparison comparison = Comparison.of(transcript, program.lines(), List.of());
        differences.addAll(comparison.differences());
        System.out.println("iommufd " + transcript + ": " + comparison);
        assertThat(differences).isEmpty();
    }
}
