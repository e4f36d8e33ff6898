// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
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

    static List<Path> vfiocompat() {
        return SharedData.files("linux/vfiocompat", ".txt");
    }

    private static IommufdOptions options(Transcript transcript) {
        // The kernels were built with VFIO_NOIOMMU.
        return IommufdOptions.DEFAULT.withRelease(transcript.release()).withNoIommu(true);
    }

    static List<Path> mixed() {
        return SharedData.files("linux/mixed", ".txt");
    }

    private static void replay(
            String what,
            Transcript transcript,
            Runnable program,
            List<String> lines,
            List<Comparison.Outside> outside) {
        List<String> differences = new ArrayList<>();
        try {
            program.run();
        } catch (RuntimeException failure) {
            StringWriter trace = new StringWriter();
            failure.printStackTrace(new PrintWriter(trace));
            differences.add("the program ended: " + trace);
        }
        Comparison comparison = Comparison.of(transcript.lines(), lines, outside);
        differences.addAll(comparison.differences());
        System.out.println(what + " " + transcript + ": " + comparison);
        assertThat(differences).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("iommufd")
    @NeedsSharedData("linux/iommufd")
    void iommufdAnswersAsTheKernelDid(Path path) {
        Transcript transcript = Transcript.read(path);
        KernelHost host = KernelHost.of(transcript);
        Program program = new IommufdProgram(host, host.process(Long.MAX_VALUE, true), transcript, options(transcript));
        replay("iommufd", transcript, program::run, program.lines(), List.of());
    }

    @ParameterizedTest
    @MethodSource("vfiocompat")
    @NeedsSharedData("linux/vfiocompat")
    void anIommufdServesAsAContainerAsTheKernelsDid(Path path) {
        Transcript transcript = Transcript.read(path);
        KernelHost host = KernelHost.of(transcript);
        Program program = new CompatProgram(host, host.process(Long.MAX_VALUE, true), options(transcript));
        replay("vfiocompat", transcript, program::run, program.lines(), CompatProgram.OUTSIDE);
    }

    @ParameterizedTest
    @MethodSource("mixed")
    @NeedsSharedData("linux/mixed")
    void unitsThatDifferInSnoopControlDecideAsTheKernelDid(Path path) {
        Transcript transcript = Transcript.read(path);
        List<String> lines = new ArrayList<>();
        if (transcript.commandLine().get("qmode").equals("mixed")) {
            replay(
                    "mixed",
                    transcript,
                    new MixedUnitsProgram(transcript, options(transcript), lines)::run,
                    lines,
                    MixedUnitsProgram.OUTSIDE);
            return;
        }
        assertThat(transcript.commandLine()).containsEntry("qmode", "h2");
        KernelHost host = KernelHost.ofTwoUnits(transcript, JoinedHwptProgram.WITHOUT, true, false);
        Program program =
                new JoinedHwptProgram(host, host.process(Long.MAX_VALUE, true), transcript, options(transcript));
        replay("mixed", transcript, program::run, program.lines(), JoinedHwptProgram.OUTSIDE);
    }
}
