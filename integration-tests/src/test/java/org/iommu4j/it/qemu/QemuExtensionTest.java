// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.iommu4j.witness.Witnesses;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary;

/** Which QEMUs tests run on, and what becomes of them where there is none: with programs that are no QEMU. */
class QemuExtensionTest {
    private static final List<String> RUNS = new ArrayList<>();

    @TempDir
    private Path folder;

    private Properties before;

    /** What the extension runs here: two tests, of which one finds its QEMU unfit. */
    @OnEachQemu
    static class Sample {
        private final QemuLab lab;

        Sample(QemuLab lab) {
            this.lab = lab;
        }

        @Test
        void runs() {
            RUNS.add(lab.qemu() + " at " + lab.qemu().binary());
        }

        @Test
        void needsANewOne() {
            if (!lab.qemu().isAtLeast(10, 0)) {
                throw lab.unfit("too old");
            }
        }
    }

    @BeforeEach
    void anAccountOfOurOwn() {
        before = (Properties) System.getProperties().clone();
        System.clearProperty(Witnesses.LOG);
        System.clearProperty(QemuExtension.REQUIRED);
        RUNS.clear();
    }

    @AfterEach
    void theBuildsOwnAccountAgain() {
        System.setProperties(before);
    }

    private Path program(String name, String output) throws IOException {
        Path program = Files.writeString(folder.resolve(name), "#!/bin/sh\necho '" + output + "'\n");
        return Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    private static TestExecutionSummary run(String named) {
        System.setProperty(Qemu.BINARIES, named);
        SummaryGeneratingListener summary = new SummaryGeneratingListener();
        LauncherFactory.create()
                .execute(
                        LauncherDiscoveryRequestBuilder.request()
                                .selectors(selectClass(Sample.class))
                                .build(),
                        summary);
        return summary.getSummary();
    }

    @Test
    void theTestsRunOnEachQemuThatIsNamed() throws IOException {
        Path old = program("old", "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)");
        Path young = program("young", "QEMU emulator version 10.0.2");
        TestExecutionSummary summary = run(old + File.pathSeparator + young);
        assertThat(RUNS).containsExactly("QEMU 7.2 at " + old, "QEMU 10.0 at " + young);
        assertThat(summary.getTestsSucceededCount()).isEqualTo(3);
        assertThat(summary.getTestsAbortedCount()).isEqualTo(1);
        assertThat(summary.getTotalFailureCount()).isZero();
    }

    @Test
    void withoutAQemuNoTestBeginsAndNoneFails() throws IOException {
        Path other = program("other", "not an emulator");
        for (String named : List.of(Qemu.ABSENT, folder.resolve("nothing").toString(), other.toString())) {
            TestExecutionSummary summary = run(named);
            assertThat(summary.getTestsStartedCount()).as(named).isZero();
            assertThat(summary.getContainersAbortedCount()).as(named).isEqualTo(1);
            assertThat(summary.getTotalFailureCount()).as(named).isZero();
        }
    }

    @Test
    void whereAQemuIsRequiredItsAbsenceFails() {
        System.setProperty(QemuExtension.REQUIRED, "true");
        TestExecutionSummary summary = run(Qemu.ABSENT);
        assertThat(summary.getTotalFailureCount()).isEqualTo(1);
        assertThat(summary.getFailures().get(0).getException())
                .hasMessage("QEMU is missing: -Diommu4j.qemu=absent; -Diommu4j.qemu.required=true requires it");
    }

    @Test
    void aMissingQemuAmongOthersIsMissedToo() throws IOException {
        System.setProperty(QemuExtension.REQUIRED, "true");
        Path young = program("young", "QEMU emulator version 10.0.2");
        TestExecutionSummary summary = run(young + File.pathSeparator + folder.resolve("nothing"));
        assertThat(summary.getTestsSucceededCount()).isEqualTo(2);
        assertThat(summary.getTotalFailureCount()).isEqualTo(1);
    }

    private static Set<Path> directories() throws IOException {
        try (Stream<Path> files = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
            return files.filter(file -> file.getFileName().toString().startsWith(QemuProcess.DIRECTORY_PREFIX))
                    .collect(Collectors.toSet());
        }
    }

    @Test
    void aQemuThatEndsAtOnceIsToldAndLeavesNothingBehind() throws IOException {
        Path young = program("young", "QEMU emulator version 10.0.2");
        Set<Path> directories = directories();
        try (QemuLab lab = new QemuLab(Qemu.at(young.toString()))) {
            assertThatThrownBy(() -> lab.start(16L << 20, List.of()))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("QEMU ended before it connected")
                    .hasMessageContaining("QEMU emulator version 10.0.2");
        }
        assertThat(directories()).isEqualTo(directories);
    }
}
