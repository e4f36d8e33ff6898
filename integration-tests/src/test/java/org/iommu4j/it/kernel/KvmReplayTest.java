// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.iommu4j.vfio.iommufd.IommufdOptions;
import org.iommu4j.witness.NeedsSharedData;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** KVM answers as it did on real kernels, and an emulated WBINVD reaches the CPUs that it reached there. */
class KvmReplayTest {
    static List<Path> transcripts() {
        return SharedData.files("linux/kvm", ".txt");
    }

    @ParameterizedTest
    @MethodSource("transcripts")
    @NeedsSharedData("linux/kvm")
    void kvmAnswersAsTheKernelDid(Path path) {
        Transcript transcript = Transcript.read(path);
        KernelHost host = KernelHost.of(transcript);
        IommufdOptions options = IommufdOptions.DEFAULT.withRelease(transcript.release());
        KvmProgram program = new KvmProgram(host, host.process(Long.MAX_VALUE, true), transcript, options);

        program.run();

        Comparison comparison =
                Comparison.of(WbinvdTrace.normalized(transcript.lines()), program.lines(), KvmProgram.OUTSIDE);
        System.out.printf(
                "kvm %s: %s; loads between the steps of a WBINVD: %d%n",
                transcript, comparison, program.secondWindows());
        assertThat(comparison.differences()).isEmpty();
        assertThat(comparison.equal()).isGreaterThan(100);
        // One was ever seen, on another kernel: a mask that lacks a CPU is the exception.
        assertThat(program.secondWindows()).isLessThanOrEqualTo(1);
    }

    @ParameterizedTest
    @MethodSource("transcripts")
    @NeedsSharedData("linux/kvm")
    void theSummaryOfATraceIsTheProgramsOwn(Path path) {
        List<TranscriptLine> lines = Transcript.read(path).lines().stream()
                .dropWhile(line -> !line.text().startsWith("-- T"))
                .toList();

        assertThat(WbinvdTrace.tests(lines))
                .hasSizeGreaterThan(15)
                .allSatisfy(test -> assertThat(WbinvdTrace.summary(test))
                        .isEqualTo(WbinvdTrace.normalized(test).stream()
                                .map(TranscriptLine::text)
                                .filter(text -> text.startsWith("SEEN "))
                                .toList()));
    }
}
