// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class InterruptionTest {
    private static final String FLUSHED = "../examples/explorations/flushed-buffer.yaml";

    private final StringWriter out = new StringWriter();

    /** What a signal begins: the process waits in another thread. */
    private static Interruption asked() {
        Interruption interruption = new Interruption();
        interruption.hook().start();
        while (!interruption.getAsBoolean()) {
            Thread.onSpinWait();
        }
        return interruption;
    }

    private int explore(Interruption interruption, String... arguments) {
        CommandLine commandLine = new CommandLine(new ExploreCommand(() -> interruption));
        commandLine.setCaseInsensitiveEnumValuesAllowed(true);
        commandLine.setOut(new PrintWriter(out));
        return commandLine.execute(arguments);
    }

    @Test
    void aStopIsAnsweredByWhatWasCoveredAndACodeOfItsOwn() throws Exception {
        Interruption interruption = asked();
        assertThat(explore(interruption, FLUSHED)).isEqualTo(130);
        assertThat(out.toString()).contains("nothing found", " states, ", ": interrupted");
        interruption.hook().join();
    }

    @Test
    void aBisectionThatIsStoppedSaysWhatIsLeft() throws Exception {
        Interruption interruption = asked();
        assertThat(explore(interruption, FLUSHED, "--bisect")).isEqualTo(130);
        assertThat(out.toString()).contains("Interrupted: 5.15 and newer were not explored to an end.");
        interruption.hook().join();
        out.getBuffer().setLength(0);
        Interruption again = asked();
        assertThat(explore(again, FLUSHED, "--bisect", "--format", "json")).isEqualTo(130);
        JsonNode json = JsonMapper.shared().readTree(out.toString());
        assertThat(json.at("/interrupted").asBoolean()).isTrue();
        assertThat(json.at("/runs")).isEmpty();
        again.hook().join();
    }

    @Test
    void theCodeIsInTheHelp() {
        assertThat(explore(new Interruption(), "--help")).isZero();
        assertThat(out.toString()).contains("130 stopped by Ctrl-C");
    }

    /** SIGTERM, since a test that runs in the background may have been started with SIGINT ignored. */
    @Test
    void aProcessThatIsToldToEndPrintsItsPartFirst() throws Exception {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        Waiting.class.getName())
                .redirectErrorStream(true)
                .start();
        try (BufferedReader reader = process.inputReader()) {
            String line = reader.readLine();
            assertThat(line).isEqualTo("ready");
            process.toHandle().destroy(); // Process.destroy would close the stream that is read
            assertThat(reader.lines().collect(Collectors.joining("\n"))).contains("nothing found", ": interrupted");
            assertThat(process.waitFor()).isEqualTo(128 + 15);
        } finally {
            process.destroyForcibly();
        }
    }

    /** A process that explores once it is told to end. */
    static final class Waiting {
        private Waiting() {}

        public static void main(String[] arguments) {
            Interruption interruption = Interruption.watch();
            System.out.println("ready");
            while (!interruption.getAsBoolean()) {
                Thread.onSpinWait();
            }
            new CommandLine(new ExploreCommand(() -> interruption)).execute(FLUSHED);
        }
    }
}
