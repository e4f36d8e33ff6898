// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is asked often starts quickly: it does not load the injector, which only machines need. */
class StartUpTest {
    private static final String LOG = """
            [    0.000000] Linux version 6.8.0-40-generic (buildd@x) #40
            [    0.140000] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c40660462 ecap f050da
            """;

    @TempDir
    private Path folder;

    /**
     * Runs the command in a JVM of its own and returns the classes that it loaded of the injector and its libraries.
     */
    private List<String> loaded(String... arguments) throws IOException, InterruptedException {
        Path classes = folder.resolve("classes.txt");
        Path output = folder.resolve("output.txt");
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xlog:class+load=info:file=" + classes,
                "-cp",
                System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                "org.iommu4j.workbench.Main"));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
        try {
            assertThat(process.waitFor(120, TimeUnit.SECONDS)).as("ends").isTrue();
        } finally {
            process.destroyForcibly();
        }
        assertThat(process.exitValue()).as(Files.readString(output)).isZero();
        List<String> lines = Files.readAllLines(classes, StandardCharsets.UTF_8);
        assertThat(lines).anyMatch(line -> line.contains("org.iommu4j.workbench.Main "));
        return lines.stream()
                .filter(line -> line.contains("com.google.inject.") || line.contains("com.google.common."))
                .toList();
    }

    @Test
    void helpLoadsNoInjector() throws IOException, InterruptedException {
        assertThat(loaded("--help")).isEmpty();
        assertThat(loaded("audit", "--help")).isEmpty();
    }

    @Test
    void anAuditLoadsNoInjector() throws IOException, InterruptedException {
        Path log = Files.writeString(folder.resolve("dmesg.txt"), LOG);
        assertThat(loaded("audit", log.toString())).isEmpty();
        assertThat(loaded("audit", log.toString(), "--format", "json")).isEmpty();
        Path fleet = Files.createDirectories(folder.resolve("fleet/host"));
        Files.copy(log, fleet.resolve("dmesg.txt"));
        assertThat(loaded("audit", "--fleet", fleet.getParent().toString())).isEmpty();
    }

    @Test
    void rulesLoadNoInjector() throws IOException, InterruptedException {
        assertThat(loaded("rules")).isEmpty();
        assertThat(loaded("rules", "--diff", "6.6..6.7", "--format", "json")).isEmpty();
    }

    /** Else the tests above would pass without looking at anything. */
    @Test
    void aCaseLoadsIt() throws IOException, InterruptedException {
        assertThat(loaded("run", "guest-no-snoop", "--machine", "intel-sc"))
                .anyMatch(line -> line.contains("com.google.inject.Guice "));
    }
}
