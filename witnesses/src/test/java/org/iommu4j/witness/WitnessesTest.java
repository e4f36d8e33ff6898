// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.witness;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.launcher.LauncherSession;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherConfig;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary;
import org.mockito.Mockito;
import org.opentest4j.TestAbortedException;

class WitnessesTest {
    @TempDir
    private Path folder;

    private Properties before;

    @BeforeEach
    void anAccountOfOurOwn() throws IOException {
        before = (Properties) System.getProperties().clone();
        System.setProperty(Witnesses.LOG, folder.resolve("target/witnesses.tsv").toString());
        System.setProperty(Witnesses.BUILD, "this build");
        System.setProperty(SharedData.DIRECTORY, folder.resolve("shared").toString());
        System.clearProperty(SharedData.REQUIRED);
        System.clearProperty(WitnessReport.PRINT);
        Files.createDirectories(folder.resolve("shared/data/acpi"));
    }

    @AfterEach
    void theBuildsOwnAccountAgain() {
        System.setProperties(before);
    }

    @Test
    void aFileThatIsThereIsUsed() throws IOException {
        Path table = Files.createFile(folder.resolve("shared/data/acpi/dmar.dat"));
        assertThat(SharedData.path("data/acpi/dmar.dat")).isEqualTo(table);
        assertThat(Witnesses.account())
                .contains("shared/data/acpi           used once", "shared/data                not asked for");
    }

    @Test
    void filesOfADirectoryComeSortedFromAllBelowIt() throws IOException {
        Path second = Files.createFile(
                Files.createDirectories(folder.resolve("shared/data/acpi/z")).resolve("a.dat"));
        Path first = Files.createFile(folder.resolve("shared/data/acpi/b.dat"));
        Files.createFile(folder.resolve("shared/data/acpi/b.expected"));
        assertThat(SharedData.files("data/acpi", ".dat")).containsExactly(first, second);
    }

    @Test
    void whatIsAbsentSkipsTheTest() throws IOException {
        Files.createDirectories(folder.resolve("shared/linux/vfio"));
        String wanted = folder.resolve("shared/linux/vfio/6.1-sc0.txt").toString();
        assertThatThrownBy(() -> SharedData.path("linux/vfio/6.1-sc0.txt"))
                .isInstanceOf(TestAbortedException.class)
                .hasMessageContaining("no " + wanted);
        assertThat(Witnesses.account())
                .contains("shared/linux/vfio          skipped once: no " + wanted
                        + " (-Diommu4j.shared=DIR names the directory)");
    }

    @Test
    void anAbsentWitnessIsOneReasonHoweverManyOfItsFilesAreAskedFor() {
        for (int i = 0; i < 100; i++) {
            String name = "linux/vfio/6." + i + ".txt";
            assertThatThrownBy(() -> SharedData.path(name)).isInstanceOf(TestAbortedException.class);
        }
        assertThat(Witnesses.account())
                .contains("shared/linux/vfio          skipped 100 times: no " + folder.resolve("shared/linux/vfio")
                        + " (-Diommu4j.shared=DIR names the directory)");
    }

    @Test
    void withoutADirectoryTheTestIsSkippedToo() {
        System.clearProperty(SharedData.DIRECTORY);
        assertThatThrownBy(() -> SharedData.files("data", ".dat"))
                .isInstanceOf(TestAbortedException.class)
                .hasMessageContaining("the system property iommu4j.shared is not set");
    }

    /** A test of files, to be run by the test below alone. */
    static class Transcripts {
        static Stream<Path> transcripts() {
            return SharedData.files("linux/vfio", ".txt").stream();
        }

        @ParameterizedTest
        @MethodSource("transcripts")
        @NeedsSharedData("linux/vfio")
        void each(Path transcript) {
            assertThat(transcript).hasExtension("txt");
        }
    }

    private static TestExecutionSummary runTranscripts(AtomicInteger skippedContainers) {
        SummaryGeneratingListener summary = new SummaryGeneratingListener();
        TestExecutionListener skips = new TestExecutionListener() {
            @Override
            public void executionSkipped(TestIdentifier identifier, String reason) {
                assertThat(reason).contains("shared/linux/vfio is missing: no ");
                skippedContainers.incrementAndGet();
            }
        };
        LauncherFactory.create(LauncherConfig.builder()
                        .enableLauncherSessionListenerAutoRegistration(false)
                        .build())
                .execute(
                        LauncherDiscoveryRequestBuilder.request()
                                .selectors(DiscoverySelectors.selectClass(Transcripts.class))
                                .build(),
                        summary,
                        skips);
        return summary.getSummary();
    }

    @Test
    void aTestWithParametersFromFilesIsSkippedOnceWhereTheyAreAbsent() throws IOException {
        AtomicInteger skipped = new AtomicInteger();
        TestExecutionSummary absent = runTranscripts(skipped);
        assertThat(skipped).hasValue(1);
        assertThat(absent.getContainersAbortedCount()).isZero();
        assertThat(absent.getTotalFailureCount()).isZero();
        assertThat(Witnesses.account())
                .anyMatch(line -> line.startsWith("shared/linux/vfio          skipped once: no "));

        System.setProperty(SharedData.REQUIRED, "true");
        assertThat(runTranscripts(skipped).getTotalFailureCount())
                .as("absent and required")
                .isEqualTo(1);

        System.setProperty(Witnesses.BUILD, "the next build");
        Path folderOfThem = Files.createDirectories(folder.resolve("shared/linux/vfio"));
        Files.createFile(folderOfThem.resolve("a.txt"));
        Files.createFile(folderOfThem.resolve("b.txt"));
        assertThat(runTranscripts(skipped).getTestsSucceededCount()).isEqualTo(2);
        assertThat(skipped).hasValue(1);
        assertThat(Witnesses.account()).contains("shared/linux/vfio          used once");
    }

    @Test
    void whatIsAbsentAndRequiredFailsTheTest() {
        System.setProperty(SharedData.REQUIRED, "true");
        assertThatThrownBy(() -> SharedData.path("linux/dumps/amd"))
                .isInstanceOf(AssertionError.class)
                .isNotInstanceOf(TestAbortedException.class)
                .hasMessageStartingWith("shared/linux/dumps is missing: no ")
                .hasMessageEndingWith("; -Diommu4j.shared.required=true requires it");
    }

    @Test
    void aPathThatIsNoWitnesssIsRefused() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> SharedData.path("linux/vfioless/6.12-sc0.txt"))
                .withMessageContaining("linux/vfioless/6.12-sc0.txt");
    }

    @Test
    void theAccountAddsUpWhatAllTestsSaid() {
        Witnesses.used("QEMU 7.2");
        Witnesses.used("QEMU 7.2");
        for (int i = 0; i < 2; i++) {
            assertThatThrownBy(() -> Witnesses.unfit("QEMU 7.2", "it has no\n\tfirst stage"))
                    .isInstanceOf(TestAbortedException.class);
        }
        assertThatThrownBy(() -> Witnesses.missing("QEMU", "nothing is there", SharedData.REQUIRED))
                .isInstanceOf(TestAbortedException.class);
        assertThat(Witnesses.account())
                .startsWith(
                        "QEMU                       skipped once: nothing is there",
                        "QEMU 7.2                   used 2 times; skipped 2 times: it has no first stage")
                .hasSize(2 + SharedData.values().length);
    }

    @Test
    void anotherBuildsAccountGivesWay() throws IOException {
        System.setProperty(Witnesses.BUILD, "an earlier build with a longer name");
        Witnesses.used("QEMU 6.0");
        System.setProperty(Witnesses.BUILD, "this build");
        assertThat(Witnesses.account()).noneMatch(line -> line.startsWith("QEMU"));
        Witnesses.used("QEMU 7.2");
        assertThat(Files.readString(folder.resolve("target/witnesses.tsv")))
                .isEqualTo("this build\tused\tQEMU 7.2\t\n");
    }

    @Test
    void linesOfSeveralThreadsStayWhole() throws IOException {
        IntStream.range(0, 200).parallel().forEach(i -> Witnesses.used("QEMU " + i % 4));
        assertThat(Witnesses.account().subList(0, 4)).allMatch(line -> line.endsWith("used 50 times"));
    }

    @Test
    void withoutAFileNothingIsKept() {
        System.clearProperty(Witnesses.LOG);
        Witnesses.used("QEMU 7.2");
        assertThat(Witnesses.account()).allMatch(line -> line.endsWith("not asked for"));
    }

    @Test
    void onlyTheLastTestJvmOfABuildPrints() {
        Witnesses.used("QEMU 7.2");
        assertThat(printed()).isEmpty();
        System.setProperty(WitnessReport.PRINT, "true");
        assertThat(printed()).contains("  QEMU 7.2                   used once");
    }

    private static List<String> printed() {
        PrintStream out = System.out;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try {
            System.setOut(new PrintStream(bytes, true, StandardCharsets.UTF_8));
            new WitnessReport().launcherSessionClosed(Mockito.mock(LauncherSession.class));
        } finally {
            System.setOut(out);
        }
        return bytes.toString(StandardCharsets.UTF_8).lines().toList();
    }
}
