// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** What can't be read is refused in one line, and nobody waits for it. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class RefusedInputsTest {
    @TempDir
    private Path folder;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private int run(Object... arguments) {
        CommandLine commandLine = Main.commandLine();
        commandLine.setOut(new PrintWriter(out));
        commandLine.setErr(new PrintWriter(err));
        List<String> words = new ArrayList<>();
        for (Object argument : arguments) {
            words.add(argument.toString());
        }
        return commandLine.execute(words.toArray(String[]::new));
    }

    private void assertRefused(String words, Object... arguments) {
        assertThat(run(arguments)).isEqualTo(2);
        assertThat(out.toString()).isEmpty();
        assertThat(err.toString().lines())
                .singleElement()
                .asString()
                .startsWith("iommu4j: ")
                .contains(words);
    }

    private Path fifo(String name) throws IOException, InterruptedException {
        Path fifo = folder.resolve(name);
        Process mkfifo = new ProcessBuilder("mkfifo", fifo.toString()).start();
        assumeTrue(mkfifo.waitFor(20, TimeUnit.SECONDS) && mkfifo.exitValue() == 0, "skipped: no mkfifo here");
        return fifo;
    }

    // --- what would keep us waiting ---

    @ParameterizedTest
    @ValueSource(strings = {"", "--acpi", "--lspci", "--dmesg", "--groups", "--fleet"})
    void aNamedPipeIsRefused(String option) throws IOException, InterruptedException {
        Path fifo = fifo("pipe");
        if (option.isEmpty()) {
            assertRefused("pipe: is no regular file", "audit", fifo);
        } else {
            assertRefused("pipe", "audit", option, fifo);
        }
    }

    @Test
    void aNamedPipeIsNoCapturedHost() throws IOException, InterruptedException {
        assertRefused(
                "pipe: is no regular file", "run", "guest-no-snoop", "--host", fifo("pipe"), "--device", "00:02.0");
    }

    @Test
    void aNamedPipeInACaptureIsNoFileOfIt() throws IOException, InterruptedException {
        Path devices = Files.createDirectories(folder.resolve("host/sys/bus/pci/devices/0000:00:02.0"));
        fifo("host/sys/bus/pci/devices/0000:00:02.0/config");
        fifo("host/dmesg.txt");
        Files.writeString(devices.resolve("vendor"), "0x8086\n");
        assertThat(run("audit", folder.resolve("host"))).isZero();
        assertThat(out.toString()).contains("00:02.0");
    }

    /** To stat it is a regular file, and whoever reads it waits for the kernel's next message. */
    @Test
    void theKernelsLogAsItIsWrittenIsRefused() throws IOException {
        assumeTrue(Files.isRegularFile(Path.of("/proc/kmsg")), "skipped: no /proc/kmsg here");
        assertRefused("/proc/kmsg: is empty, or made up by the kernel", "audit", "/proc/kmsg");
        err.getBuffer().setLength(0);
        assertRefused("/proc/kmsg: is empty", "audit", "--dmesg", "/proc/kmsg");
        err.getBuffer().setLength(0);
        Path link = Files.createSymbolicLink(folder.resolve("dmesg.txt"), Path.of("/proc/kmsg"));
        assertRefused("dmesg.txt: is empty", "audit", link);
    }

    @Test
    void aDirectoryIsNoTable() throws IOException {
        assertRefused("is a directory, expected a file", "audit", "--acpi", folder);
    }

    @Test
    void aPipeOfAShellIsRead() throws IOException, InterruptedException {
        Path listing = Files.writeString(folder.resolve("lspci.txt"), "00:02.0 VGA compatible controller: Maker\n");
        Path output = folder.resolve("output.txt");
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        String classes = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
        Process shell = new ProcessBuilder(
                        "sh",
                        "-c",
                        "cat \"$1\" | \"$2\" -cp \"$3\" org.iommu4j.workbench.Main audit --lspci /dev/stdin",
                        "sh",
                        listing.toString(),
                        java,
                        classes)
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
        try {
            assertThat(shell.waitFor(50, TimeUnit.SECONDS)).as("ends").isTrue();
        } finally {
            shell.destroyForcibly();
        }
        assertThat(Files.readString(output)).contains("00:02.0");
        assertThat(shell.exitValue()).isZero();
    }

    // --- lists and paths ---

    @ParameterizedTest
    @ValueSource(strings = {",", "", " ", "00:02.0,", ",00:02.0", "00:02.0,,00:03.0", "00:02.0, ,00:03.0"})
    void anEmptyElementOfAListIsRefused(String devices) throws IOException {
        Path listing = Files.writeString(
                folder.resolve("lspci.txt"),
                "00:02.0 VGA compatible controller: Maker\n00:03.0 VGA compatible controller: Maker\n");
        assertRefused("has an empty element", "audit", listing, "--assign", devices);
    }

    @Test
    void addressesMayBeNamedTogetherOrOneByOne() throws IOException {
        Path listing = Files.writeString(
                folder.resolve("lspci.txt"),
                "00:02.0 VGA compatible controller: Maker\n00:03.0 VGA compatible controller: Maker\n");
        assertThat(run("audit", listing, "--assign", "00:02.0,0000:00:03.0")).isZero();
        assertThat(out.toString()).contains("0000:00:02.0, 0000:00:03.0");
        out.getBuffer().setLength(0);
        assertThat(run("audit", listing, "--assign", "00:02.0", "--assign", "00:03.0"))
                .isZero();
        assertThat(out.toString()).contains("0000:00:02.0, 0000:00:03.0");
        assertThat(err.toString()).isEmpty();
    }

    /** As a variable of a shell leaves it that is not set: the current directory is not what was meant. */
    @ParameterizedTest
    @ValueSource(strings = {"audit", "audit --fleet", "audit --acpi", "capture", "run guest-no-snoop --host"})
    void anEmptyPathIsRefused(String words) {
        List<Object> arguments = new ArrayList<>(List.of(words.split(" ")));
        arguments.add("");
        assertRefused("an empty path", arguments.toArray());
    }
}
