// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.iommu4j.workbench.decode.Dump;
import org.iommu4j.workbench.output.StandardStreams;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What reaches a terminal, a pipe or a file, of each subcommand, and what becomes of output that nobody takes. */
class OutputTest {
    private static final String LOG = """
            Linux version 6.8.0-40-generic (buildd@x) #40
            DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c40660462 ecap f050da
            """;

    /** A name that clears a screen, forges a line, turns its end around and says so in C1 too. */
    private static final String HOSTILE = "x\u001b[2J\niommu4j: all is well\u202e\u009b31m\t";

    private static final String ESCAPED_IN_JSON = "x\\u001B[2J\\niommu4j: all is well\\u202E\\u009B31m\\t";

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    @TempDir
    private Path folder;

    private int run(String... arguments) {
        return run(out, err, false, arguments);
    }

    private static int run(OutputStream out, OutputStream err, boolean colours, String... arguments) {
        return Main.run(new StandardStreams(out, err, StandardCharsets.UTF_8, colours), arguments);
    }

    private String out() {
        return out.toString(StandardCharsets.UTF_8);
    }

    private String err() {
        return err.toString(StandardCharsets.UTF_8);
    }

    private static void assertPrintable(String text) {
        assertThat(text.codePoints().filter(c -> c != '\n'))
                .noneMatch(c -> Character.isISOControl(c)
                        || Character.getType(c) == Character.FORMAT
                        || Character.getType(c) == Character.SURROGATE);
    }

    private Path capture(String name) throws IOException {
        Path device = Files.createDirectories(folder.resolve(name).resolve("sys/bus/pci/devices/0000:00:02.0"));
        Files.write(device.resolve("config"), new byte[64]);
        Files.createSymbolicLink(device.resolve("driver"), Path.of("../../drivers/" + HOSTILE));
        Files.createDirectories(folder.resolve(name).resolve("sys/bus/pci/drivers/" + HOSTILE));
        Files.writeString(folder.resolve(name).resolve("dmesg.txt"), LOG);
        return folder.resolve(name);
    }

    static Stream<List<String>> wrongArguments() {
        return Stream.of(
                List.of(HOSTILE),
                List.of("--" + HOSTILE),
                List.of("run", HOSTILE),
                List.of("run", "guest-no-snoop", "--machine", HOSTILE),
                List.of("run", "guest-no-snoop", "--host", HOSTILE, "--device", "0000:01:00.0"),
                List.of("run", "guest-no-snoop", "--device", HOSTILE),
                List.of("run", "guest-no-snoop", "--format", HOSTILE),
                List.of("cases", "--linux", HOSTILE),
                List.of("audit", HOSTILE),
                List.of("audit", "--acpi", HOSTILE),
                List.of("audit", "--lspci", HOSTILE),
                List.of("audit", "--dmesg", HOSTILE),
                List.of("audit", "--fleet", HOSTILE),
                List.of("decode", "--registers", HOSTILE, "--memory", "x.bin"),
                List.of("decode", "--registers", "/dev/null", "--memory", HOSTILE),
                List.of("decode", "--iova", HOSTILE),
                List.of("decode", "--unpack-limit", HOSTILE),
                List.of("capture", HOSTILE, HOSTILE),
                List.of("capture", "a.tar", "--root", HOSTILE));
    }

    @ParameterizedTest
    @MethodSource("wrongArguments")
    void whateverIsInAnArgumentTheMessageIsOnePrintableLine(List<String> arguments) {
        assertThat(run(arguments.toArray(String[]::new))).isEqualTo(2);
        assertThat(out()).isEmpty();
        assertThat(err()).hasLineCount(1).startsWith("iommu4j: ").endsWith("\n");
        assertPrintable(err());
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void namesInACaptureArePrintableWhereverTheyAppear(boolean colours) throws IOException {
        Path capture = capture("host" + HOSTILE);
        List<List<String>> commands = List.of(
                List.of("audit", capture.toString(), "--verbose"),
                List.of("audit", capture.toString(), "--assign", "00:02.0"),
                List.of("audit", capture.toString(), "--format", "json"),
                List.of("audit", capture.toString(), "--format", "html"),
                List.of("audit", "--fleet", folder.toString()),
                List.of("audit", "--fleet", folder.toString(), "--format", "csv"),
                List.of("audit", "--fleet", folder.toString(), "--format", "json"));
        for (List<String> command : commands) {
            out.reset();
            err.reset();
            assertThat(run(out, err, colours, command.toArray(String[]::new)))
                    .as("%s: %s", command, err())
                    .isZero();
            assertPrintable(out().replaceAll("\u001b\\[(31|32|33|0)m", ""));
            assertThat(out().lines()).noneMatch(line -> line.startsWith("iommu4j: all is well"));
            assertPrintable(err());
        }
        assertThat(out()).contains("host" + ESCAPED_IN_JSON);
    }

    @Test
    void jsonIsAsciiAndGivesBackTheNameAsItWas() throws IOException {
        Path capture = capture("h\u00f6st \u4e2d\u6587");
        assertThat(run("audit", capture.toString(), "--format", "json")).isZero();
        assertThat(out()).isASCII();
        JsonNode json = JsonMapper.shared().readTree(out());
        assertThat(json.get("host").asString()).isEqualTo("h\u00f6st \u4e2d\u6587");
    }

    @Test
    void htmlIsAsciiAndHasNoMarkupOfACapture() throws IOException {
        Path capture = capture("h\u00f6st<script>");
        assertThat(run("audit", capture.toString(), "--format", "html")).isZero();
        assertThat(out()).isASCII().contains("h&#246;st&#60;script&#62;").doesNotContain("<script");
    }

    @Test
    void bytesThatAreNoTextInThisLocaleAreRefusedByTheNumberOfTheirArgument() {
        assertThat(run("audit", "caf\ufffd")).isEqualTo(2);
        assertThat(err()).hasLineCount(1).startsWith("iommu4j: argument 2 'caf").contains("LC_ALL=C.UTF-8");
        assertThat(out()).isEmpty();
    }

    @Test
    void anArgumentThatBeginsWithAnAtSignIsItselfAndNoFileOfArguments() throws IOException {
        Path file = Files.writeString(folder.resolve("arguments"), "--help\n");
        assertThat(run("run", "@" + file)).isEqualTo(2);
        assertThat(err()).hasLineCount(1).contains("@" + file + ": no such file, expected a page");
        assertThat(out()).isEmpty();
    }

    /** Takes nothing, as {@code /dev/full}. */
    private static final class Full extends OutputStream {
        private final String reason;

        Full(String reason) {
            this.reason = reason;
        }

        @Override
        public void write(int b) throws IOException {
            throw new IOException(reason);
        }
    }

    private Stream<String[]> answers() throws IOException {
        Path capture = capture("host");
        Dump dump = new Dump(folder).set(0x1000 + 0x28 * 8, 0x2001).set(0x2000, 0x4000_0003L);
        String registers = dump.registers(0x1000, 2).toString();
        String memory = dump.pages("memory.bin").toString();
        return Stream.of(
                new String[] {"--help"},
                new String[] {"--version"},
                new String[] {"run", "--help"},
                new String[] {"run", "guest-no-snoop"},
                new String[] {"run", "guest-forgets-flush"},
                new String[] {"run", "guest-no-snoop", "--format", "json"},
                new String[] {"cases"},
                new String[] {"cases", "--format", "json"},
                new String[] {"audit", capture.toString()},
                new String[] {"audit", capture.toString(), "--require-coherent"},
                new String[] {"audit", capture.toString(), "--format", "json"},
                new String[] {"audit", capture.toString(), "--format", "html"},
                new String[] {"audit", "--fleet", folder.resolve("host").toString()},
                new String[] {"decode", "--registers", registers, "--memory", memory},
                new String[] {"decode", "--registers", registers, "--memory", memory, "--list"},
                new String[] {"decode", "--registers", registers, "--memory", memory, "--format", "json"},
                new String[] {
                    "decode", "--registers", registers, "--memory", memory, "--device", "00:05.0", "--iova", "0"
                },
                new String[] {"capture", folder.resolve("a.tar").toString(), "--root", capture.toString()},
                new String[] {"generate-completion"});
    }

    @Test
    void anAnswerThatCannotBeWrittenIsAMessageAndExitCodeTwo() throws IOException {
        answers().forEach(command -> {
            err.reset();
            assertThat(run(new Full("No space left on device"), err, false, command))
                    .as("%s", List.of(command))
                    .isEqualTo(2);
            assertThat(err().lines().filter(line -> !line.contains("missing:")))
                    .as("%s", List.of(command))
                    .containsExactly("iommu4j: standard output can't be written (No space left on device)");
        });
    }

    @Test
    void aPipeThatItsReaderClosedEndsTheCommandQuietly() throws IOException {
        answers().forEach(command -> {
            err.reset();
            assertThat(run(new Full("Broken pipe"), err, false, command))
                    .as("%s", List.of(command))
                    .isEqualTo(2);
            assertThat(err().lines().filter(line -> !line.contains("missing:")))
                    .as("%s", List.of(command))
                    .isEmpty();
        });
    }

    @Test
    void messagesThatCannotBeWrittenAreExitCodeTwo() {
        assertThat(run(out, new Full("No space left on device"), false, "run", "no-such-case"))
                .isEqualTo(2);
        assertThat(out()).isEmpty();
    }

    private Process start(Path output, String shell, String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                "/bin/sh",
                "-c",
                shell,
                "sh",
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Dguice_bytecode_gen_option=DISABLED", // as in the launcher; newer JDKs warn of the other way
                "-cp",
                System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                "org.iommu4j.workbench.Main"));
        command.addAll(List.of(arguments));
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
    }

    private String shell(int expected, String shell, String... arguments) throws IOException, InterruptedException {
        Path output = folder.resolve("output.txt");
        Process process = start(output, shell, arguments);
        try {
            assertThat(process.waitFor(120, TimeUnit.SECONDS)).as("ends").isTrue();
        } finally {
            process.destroyForcibly();
        }
        String text = Files.readString(output);
        assertThat(process.exitValue()).as(text).isEqualTo(expected);
        return text;
    }

    @Test
    void theRealDeviceThatIsAlwaysFullIsNoticed() throws IOException, InterruptedException {
        assertThat(shell(2, "\"$@\" >/dev/full", "--version"))
                .startsWith("iommu4j: standard output can't be written (")
                .hasLineCount(1);
        assertThat(shell(2, "\"$@\" 2>/dev/full", "frobnicate")).isEmpty();
    }

    /** As on a full disk, the system takes a part of the file and no more. */
    @Test
    void aFileThatTheDiskCantTakeKeepsWhatItHad() throws IOException, InterruptedException {
        Path trace = Files.writeString(folder.resolve("trace.json"), "old");
        String text = shell(
                2,
                "ulimit -f 4; java=$1; shift; exec \"$java\" -XX:-UsePerfData \"$@\"",
                "run",
                "guest-no-snoop",
                "--trace",
                trace.toString());
        assertThat(text).hasLineCount(1).startsWith("iommu4j: " + trace + ": can't be written (");
        assertThat(trace).hasContent("old");
        assertThat(folder).isDirectoryNotContaining("glob:**.part");
    }

    /** A dash is standard input where a path is read; written to, it would be the redirected file. */
    @ParameterizedTest
    @ValueSource(strings = {"run guest-no-snoop --trace -", "explore page.yaml --save -", "capture -"})
    void aDashIsNoFileToWrite(String command) {
        assertThat(run(command.split(" "))).isEqualTo(2);
        assertThat(err()).hasLineCount(1).contains("'-' names no file to write, expected a path, such as ./-");
        assertThat(out()).isEmpty();
    }

    /** Tables that unfold to four million mappings: seconds of work, of which one line is wanted. */
    @Test
    void aDecodeWhoseReaderHasEnoughEndsAtOnce() throws IOException, InterruptedException {
        Dump dump = new Dump(folder).set(0x1000 + 0x28 * 8, 0x2001);
        for (int i = 0; i < 512; i++) {
            dump.set(0x2000 + 8L * i, 0x3004).set(0x3000 + 8L * i, 0x4004).set(0x4000 + 8L * i, 0x5_0003L + (i << 13));
        }
        String text = shell(
                0,
                "{ \"$@\"; echo $? >'" + folder.resolve("code") + "'; } | head -n 1",
                "decode",
                "--registers",
                dump.registers(0x1000, 3).toString(),
                "--memory",
                dump.pages("memory.bin").toString(),
                "--limit",
                "100000000000",
                "--list");
        assertThat(text).hasLineCount(1).startsWith("device ");
        assertThat(folder.resolve("code")).hasContent("2");
    }

    @Test
    void aPathInUtf8IsRefusedByOneLineWhereTheLocaleKnowsOnlyAscii() throws IOException, InterruptedException {
        Files.writeString(folder.resolve("caf\u00e9"), LOG);
        String text = shell(2, "LC_ALL=C \"$@\" \"$(printf 'caf\\303\\251')\"", "audit");
        assertThat(text)
                .hasLineCount(1)
                .startsWith("iommu4j: argument 2 ")
                .contains("ANSI_X3.4-1968", "LC_ALL=C.UTF-8");
    }

    /** As a missing jar would, or memory that runs out. */
    @Test
    void anErrorIsNeverTakenForABadAnswer() {
        OutputStream failing = new OutputStream() {
            @Override
            public void write(int b) {
                throw new OutOfMemoryError("Java\u001b heap");
            }
        };
        assertThat(run(failing, err, false, "--version")).isEqualTo(2);
    }
}
