// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** {@code iommu4j capture --script | sh -s -- host.tar}: a shell reads the script from its input. */
class CaptureScriptCommandTest {
    @TempDir
    private Path root;

    @TempDir
    private Path out;

    /** Below six bridges, so that the paths are longer than a header of tar has room for. */
    @BeforeEach
    void aHost() throws IOException {
        String path = "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:00.0/0000:03:00.0/0000:04:00.0"
                + "/0000:05:00.0/0000:06:00.0";
        Path device = Files.createDirectories(root.resolve(path));
        Files.write(device.resolve("config"), new byte[64]);
        Files.writeString(device.resolve("vendor"), "0x8086\n");
        Path devices = Files.createDirectories(root.resolve("sys/bus/pci/devices"));
        Files.createSymbolicLink(devices.resolve("0000:06:00.0"), devices.relativize(device));
        int code = run(out.resolve("capture.sh"), "capture", "--script");
        assertThat(code).isZero();
        assertThat(shell(List.of("sh", "-s", "--", "--root", root.toString(), "host.tar"), out.resolve("capture.sh")))
                .isEqualTo("host.tar: PCI functions 1, IOMMUs 0, groups 0\n");
    }

    private static int run(Path printed, String... arguments) throws IOException {
        StringWriter text = new StringWriter();
        CommandLine commandLine = Main.commandLine();
        commandLine.setOut(new PrintWriter(text));
        int code = commandLine.execute(arguments);
        Files.writeString(printed, text.toString());
        return code;
    }

    /** Returns what a program prints; it reports what went wrong, and ends well. */
    private String shell(List<String> command, Path in) throws IOException {
        Process process = new ProcessBuilder(command)
                .directory(out.toFile())
                .redirectInput(in.toFile())
                .redirectOutput(out.resolve("printed").toFile())
                .redirectError(out.resolve("reported").toFile())
                .start();
        try {
            assertThat(process.waitFor(60, TimeUnit.SECONDS)).as("ends").isTrue();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError(e);
        } finally {
            process.destroyForcibly();
        }
        assertThat(process.exitValue())
                .as(Files.readString(out.resolve("reported")))
                .isZero();
        return Files.readString(out.resolve("printed"));
    }

    @Test
    void theCaptureIsAuditedLikeTheOneOfTheCommand() throws IOException {
        Path ours = out.resolve("ours.tar");
        assertThat(run(out.resolve("summary"), "capture", ours.toString(), "--root", root.toString()))
                .isZero();
        assertThat(out.resolve("host.tar")).hasSameBinaryContentAs(ours);
    }

    @ParameterizedTest
    @ValueSource(strings = {"tar", "busybox tar"})
    void eachTarListsWholePathsAndTheLink(String tar) throws IOException {
        List<String> command = List.of(tar.split(" "));
        assumeTrue(
                Stream.of("/bin/", "/usr/bin/")
                        .anyMatch(folder -> Files.isExecutable(Path.of(folder + command.get(0)))),
                command.get(0) + " is not installed");
        String listed = shell(
                Stream.concat(command.stream(), Stream.of("tvf", "host.tar")).toList(), out.resolve("capture.sh"));
        String path = "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:00.0/0000:03:00.0/0000:04:00.0"
                + "/0000:05:00.0/0000:06:00.0/";
        assertThat(listed.lines().map(line -> line.replaceAll("^.* 1970-01-01 \\d\\d:\\d\\d(:\\d\\d)? ", "")))
                .contains(
                        path + "vendor",
                        path + "config",
                        "sys/bus/pci/devices/0000:06:00.0 -> ../../../devices/"
                                + path.substring("sys/devices/".length(), path.length() - 1))
                .noneMatch(line -> line.contains("PaxHeaders"));
    }
}
