// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
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
    /**
     * Transcripts that differ, and where they begin to. AMD's driver of Linux 7.3 remaps no interrupts where the
     * function that IVRS names for the I/O APIC is missing; ours has no rule of that.
     */
    private static final Map<String, String> LEFT = Map.of("7.3-amd", "SET_IOMMU(TYPE1v2) -> -1 EPERM");

    static List<Path> transcripts() {
        return SharedData.files("linux/vfio", ".txt");
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("transcripts")
    @NeedsSharedData("linux/vfio")
    void everyAnswerIsTheKernels(Path file) {
        Transcript transcript = Transcript.read(file);
        VfioProgram program = new VfioProgram(new GuestMachine(transcript));
        Comparison comparison = program.run().compare(transcript);
        System.out.printf("VFIO of Linux %s on %s: %s%n", transcript.release(), transcript.machine(), comparison);
        if (LEFT.containsKey(transcript.name())) {
            assertThat(comparison.different().get(0)).contains(LEFT.get(transcript.name()));
            return;
        }
        assertThat(comparison.different()).isEmpty();
        assertThat(comparison.compared()).isGreaterThan(250);
        assertThat(program.pinned()).isZero();
    }

    static List<Path> mixed() {
        return SharedData.files("linux/mixed", ".txt");
    }

    /** The guest had one unit, whose snoop control changed for the driver; here are two units. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("mixed")
    @NeedsSharedData("linux/mixed")
    void aContainerOfTwoUnitsIsTheKernels(Path file) {
        Transcript transcript = Transcript.read(file);
        Pattern title = Pattern.compile(
                "-- type1: 1st group's unit SC=([01]), then 2nd group's unit SC=([01]), (one|no) map before the 2nd");
        int compared = 0;
        int sections = 0;
        List<TranscriptLine> lines = transcript.lines();
        for (int i = 0; i < lines.size(); i++) {
            Matcher section = title.matcher(lines.get(i).text());
            if (!section.matches()) {
                continue;
            }
            int end = i + 1;
            while (!lines.get(end).text().startsWith("--")
                    && !lines.get(end).text().startsWith("/dev/iommu")) {
                end++;
            }
            GuestMachine guest = GuestMachine.ofTwoUnits(
                    transcript, section.group(1).equals("1"), section.group(2).equals("1"));
            Comparison comparison =
                    new MixedProgram(guest).run(section.group(3).equals("one")).compare(lines.subList(i + 1, end));
            assertThat(comparison.different()).as("%s", lines.get(i)).isEmpty();
            compared += comparison.compared();
            sections++;
        }
        System.out.printf(
                "two units under Linux %s on %s: %d lines of %d containers compared%n",
                transcript.release(), transcript.machine(), compared, sections);
        assertThat(sections).isEqualTo(transcript.name().equals("7.3-iommufd-kvm") ? 0 : 6);
        assertThat(compared).isEqualTo(sections * 18);
    }
}
