// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code iommu4j audit --fleet} as a script sees it: exit codes, and every cell of every row. */
class FleetCommandTest {
    private static final String HEADER =
            "host,linux,guest,units,cantBlock,devices,noncoherent,unknown,falsePromises,verdict";
    private static final String BLOCKS = "f050da";
    private static final String CANNOT = "f0505a";

    @TempDir
    private Path folder;

    private Path fleet = Path.of("");

    private record Answer(int exit, String out, String err) {}

    @BeforeEach
    void noHosts() throws IOException {
        fleet = Files.createDirectory(folder.resolve("fleet"));
    }

    private static Answer audit(Object... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        CommandLine commandLine = Main.commandLine();
        commandLine.setOut(new PrintWriter(out));
        commandLine.setErr(new PrintWriter(err));
        List<String> words = new ArrayList<>(List.of("audit"));
        for (Object argument : arguments) {
            words.add(argument.toString());
        }
        int exit = commandLine.execute(words.toArray(String[]::new));
        return new Answer(exit, out.toString(), err.toString());
    }

    // --- hosts ---

    private static void write(Path root, String path, String text) throws IOException {
        Path file = root.resolve(path);
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    private static void link(Path root, String path, String target) throws IOException {
        Path link = root.resolve(path);
        Files.createDirectories(link.getParent());
        Files.createSymbolicLink(link, Path.of(target));
    }

    private static void device(Path root, String address, String unit) throws IOException {
        write(root, "sys/devices/pci0000:00/" + address + "/class", "0x020000\n");
        link(root, "sys/bus/pci/devices/" + address, "../../../devices/pci0000:00/" + address);
        link(root, "sys/devices/pci0000:00/" + address + "/iommu", "../../virtual/iommu/" + unit);
    }

    private static void unit(Path root, String unit, String ecap) throws IOException {
        String path = "sys/devices/virtual/iommu/" + unit;
        write(root, path + "/intel-iommu/address", unit.equals("dmar0") ? "fed90000\n" : "fed91000\n");
        write(root, path + "/intel-iommu/version", "1:0\n");
        write(root, path + "/intel-iommu/cap", "d2008c40660462\n");
        write(root, path + "/intel-iommu/ecap", ecap + "\n");
        link(root, "sys/class/iommu/" + unit, "../../devices/virtual/iommu/" + unit);
    }

    private static Path intel(Path root, String ecap) throws IOException {
        unit(root, "dmar0", ecap);
        device(root, "0000:00:05.0", "dmar0");
        write(root, "proc/sys/kernel/osrelease", "6.1.0\n");
        Files.createDirectories(root.resolve("sys/kernel/iommu_groups"));
        return root;
    }

    private Path host(String kind) throws IOException {
        Path host = fleet.resolve(kind);
        switch (kind) {
            case "good" -> intel(host, BLOCKS);
            case "bad" -> intel(host, CANNOT);
            case "mixed" -> {
                intel(host, BLOCKS);
                unit(host, "dmar1", CANNOT);
                device(host, "0000:00:06.0", "dmar1");
                device(host, "0000:00:07.0", "nowhere");
            }
            case "silent" -> {
                write(host, "sys/devices/virtual/iommu/dmar0/class", "");
                link(host, "sys/class/iommu/dmar0", "../../devices/virtual/iommu/dmar0");
                device(host, "0000:00:05.0", "dmar0");
                write(host, "proc/sys/kernel/osrelease", "6.1.0\n");
                Files.createDirectories(host.resolve("sys/kernel/iommu_groups"));
            }
            case "unknown" -> write(host, "lspci.txt", "00:05.0 Ethernet controller: Maker Card\n");
            case "promise" -> {
                write(host, "sys/devices/virtual/iommu/ivhd0/class", "");
                link(host, "sys/class/iommu/ivhd0", "../../devices/virtual/iommu/ivhd0");
                device(host, "0000:00:05.0", "ivhd0");
                write(host, "proc/sys/kernel/osrelease", "6.18.0\n");
                write(host, "proc/cmdline", "amd_iommu=pgtbl_v2\n");
                Files.createDirectories(host.resolve("sys/kernel/iommu_groups"));
            }
            case "contradicting" -> {
                Tars.write(Files.createDirectories(host).resolve("a.tar"), intel(folder.resolve("some"), BLOCKS));
                write(host, "one.log", "Linux version 6.1.0 (x@y) #1\nDMAR-IR: Enabled IRQ remapping in x2apic mode\n");
                write(host, "two.log", "Linux version 6.1.0 (x@y) #1\nDMAR-IR: Failed to enable irq remapping.\n");
            }
            case "broken" -> Files.writeString(host, "of no interest\n");
            case "cut" -> {
                Path whole = Tars.write(folder.resolve("whole.tar"), intel(folder.resolve("other"), BLOCKS));
                Files.createDirectories(host);
                Files.write(host.resolve("a.tar"), java.util.Arrays.copyOf(Files.readAllBytes(whole), 2_000));
                write(host, "dmesg.txt", "Linux version 6.1.0 (x@y) #1\n");
            }
            default -> throw new IllegalArgumentException(kind);
        }
        return host;
    }

    // --- exit codes ---

    @ParameterizedTest
    @CsvSource({
        "good, 0, 0",
        "bad, 0, 1",
        "mixed, 0, 1",
        "unknown, 0, 1",
        "silent, 0, 1",
        "promise, 0, 1",
        "contradicting, 0, 1",
        "broken, 2, 2",
        "cut, 2, 2",
        "good bad, 0, 1",
        "good unknown, 0, 1",
        "good promise, 0, 1",
        "good contradicting, 0, 1",
        "good broken, 2, 2",
        "bad broken, 2, 2",
        "good bad unknown promise, 0, 1"
    })
    void theExitCodeIsThatOfTheWorstHost(String kinds, int exit, int whenCoherenceIsRequired) throws IOException {
        for (String kind : kinds.split(" ", -1)) {
            host(kind);
        }
        for (String format : List.of("text", "json", "csv")) {
            Answer answer = audit("--fleet", fleet, "--format", format);
            assertThat(answer.exit()).as("%s as %s", kinds, format).isEqualTo(exit);
            Answer required = audit("--fleet", fleet, "--format", format, "--require-coherent");
            assertThat(required.exit()).as("%s as %s, required", kinds, format).isEqualTo(whenCoherenceIsRequired);
            assertThat(required.out()).as("the rows are the same").isEqualTo(answer.out());
            assertThat(answer.err() + required.err()).isEmpty();
        }
    }

    // --- rows ---

    @Test
    void everyCellOfEveryRowIsThatHosts() throws IOException {
        for (String kind : List.of("good", "bad", "mixed", "silent", "unknown", "promise", "contradicting", "broken")) {
            host(kind);
        }
        Answer answer = audit("--fleet", fleet, "--format", "csv");
        List<String> rows = answer.out().lines().toList();
        assertThat(rows).hasSize(9).startsWith(HEADER);
        assertThat(rows.get(1)).isEqualTo("bad,6.1,NONCOHERENT,1,1,1,1,0,0,1 of 1 devices makes its guest NONCOHERENT");
        assertThat(rows.get(2)).startsWith("broken,,ERROR,,,,,,,").contains("of no known kind");
        assertThat(rows.get(3))
                .isEqualTo("contradicting,6.1,UNKNOWN,1,0,1,0,0,0,inputs contradict each other; the other facts "
                        + "give: every"
                        + " device leaves its guest COHERENT");
        assertThat(rows.get(4)).isEqualTo("good,6.1,COHERENT,1,0,1,0,0,0,every device leaves its guest COHERENT");
        assertThat(rows.get(5))
                .startsWith("mixed,6.1,NONCOHERENT,2,1,3,1,1,0,")
                .contains("1 of 3 devices", "1 UNKNOWN");
        assertThat(rows.get(6)).startsWith("promise,6.18,COHERENT,1,0,1,0,0,1,").endsWith("does not keep its promise");
        assertThat(rows.get(7)).as("what its unit can do is not known").startsWith("silent,6.1,UNKNOWN,1,0,1,0,1,0,");
        assertThat(rows.get(8)).startsWith("unknown,").contains(",UNKNOWN,0,0,1,0,1,0,UNKNOWN whether guests");
        List<String> text = audit("--fleet", fleet).out().lines().toList();
        assertThat(text).hasSize(9);
        for (int i = 1; i < 9; i++) {
            String[] cells = rows.get(i).split(",", 4);
            assertThat(text.get(i)).startsWith("  " + cells[0] + " ").contains(cells[1], cells[2]);
        }
        assertThat(text.get(2)).contains("ERROR");
    }

    @Test
    void jsonHasALineForEachHost() throws IOException {
        for (String kind : List.of("good", "mixed", "promise", "contradicting", "broken")) {
            host(kind);
        }
        List<JsonNode> rows = audit("--fleet", fleet, "--format", "json")
                .out()
                .lines()
                .map(line -> JsonMapper.shared().readTree(line))
                .toList();
        assertThat(rows)
                .extracting(row -> row.get("host").asString())
                .containsExactly("broken", "contradicting", "good", "mixed", "promise");
        JsonNode broken = rows.get(0);
        assertThat(broken.get("error").asString()).contains("of no known kind");
        assertThat(List.of("linux", "guest", "verdict", "units", "devices", "warnings"))
                .allMatch(name -> broken.get(name).isNull());
        JsonNode contradicting = rows.get(1);
        assertThat(contradicting.get("guest").asString()).isEqualTo("UNKNOWN");
        assertThat(contradicting.get("contradictions"))
                .singleElement()
                .asString()
                .contains("interrupt remapping is o");
        JsonNode good = rows.get(2);
        assertThat(good.get("error").isNull()).isTrue();
        assertThat(good.get("linux").asString()).isEqualTo("6.1");
        assertThat(good.get("guest").asString()).isEqualTo("COHERENT");
        assertThat(good.get("verdict").asString()).isEqualTo("every device leaves its guest COHERENT");
        assertThat(good.get("units").asInt()).isEqualTo(1);
        assertThat(good.get("devices").asInt()).isEqualTo(1);
        assertThat(good.get("noncoherent")).isEmpty();
        assertThat(good.get("contradictions")).isEmpty();
        assertThat(good.get("falsePromises")).isEmpty();
        JsonNode alone = JsonMapper.shared()
                .readTree(audit(fleet.resolve("good"), "--format", "json").out());
        assertThat(good.get("warnings").asInt())
                .isPositive()
                .isEqualTo(alone.get("warnings").size());
        assertThat(rows.get(3).get("noncoherent")).singleElement().asString().contains("0000:00:06.0");
        assertThat(rows.get(4).get("falsePromises")).singleElement().asString().contains("amd_iommu=pgtbl_v2");
    }

    @Test
    void aHostIsCalledByItsFileWithoutItsEnding() throws IOException {
        Path root = intel(folder.resolve("root"), BLOCKS);
        Tars.write(fleet.resolve("b.tar"), root);
        Files.move(root, fleet.resolve("a.tar"));
        Files.createDirectory(fleet.resolve(".hidden"));
        assertThat(audit("--fleet", fleet, "--format", "csv")
                        .out()
                        .lines()
                        .skip(1)
                        .map(row -> row.split(",", 2)[0]))
                .as("a directory by its whole name")
                .containsExactly("a.tar", "b");
    }

    @Test
    void theReleaseAskedForAnswersForEveryHost() throws IOException {
        host("good");
        host("promise");
        assertThat(audit("--fleet", fleet, "--format", "csv", "--linux", "6.6")
                        .out()
                        .lines()
                        .skip(1)
                        .map(row -> row.split(",", 3)[1]))
                .containsExactly("6.6", "6.6");
    }

    /** What is broken is told, and other files beside the inputs are passed over. */
    @Test
    void aBrokenInputOfAHostIsItsRowAndForeignFilesAreNot() throws IOException {
        Path cut = host("cut");
        assertThat(audit("--fleet", fleet, "--format", "csv").out()).contains("cut,,ERROR,", "a.tar");
        Files.delete(cut.resolve("a.tar"));
        write(cut, "notes", "of no interest\n");
        write(cut, "empty", "");
        Files.write(cut.resolve("picture"), new byte[100]);
        assertThat(audit("--fleet", fleet, "--format", "csv").exit()).isZero();
    }

    // --- errors of Java's ---

    private record Run(int exit, String out) {}

    private Run inSmallMemory(Object... arguments) throws IOException, InterruptedException {
        Path output = folder.resolve("output.txt");
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx48m",
                "-cp",
                System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                "org.iommu4j.workbench.Main",
                "audit"));
        for (Object argument : arguments) {
            command.add(argument.toString());
        }
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
        try {
            assertThat(process.waitFor(120, TimeUnit.SECONDS)).as("ends").isTrue();
        } finally {
            process.destroyForcibly();
        }
        return new Run(process.exitValue(), Files.readString(output, StandardCharsets.UTF_8));
    }

    /** Within all limits, and more than a small machine has. */
    private static Path big(Path tar) throws IOException {
        try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(tar));
                TarArchiveOutputStream archive = new TarArchiveOutputStream(out)) {
            byte[] zeros = new byte[15 << 20];
            for (int i = 0; i < 8; i++) {
                TarArchiveEntry entry = new TarArchiveEntry("sys/" + i);
                entry.setSize(zeros.length);
                archive.putArchiveEntry(entry);
                archive.write(zeros);
                archive.closeArchiveEntry();
            }
        }
        return tar;
    }

    @Test
    void aHostThatNeedsMoreMemoryThanThereIsLeavesTheOthersTheirRows() throws IOException, InterruptedException {
        host("good");
        big(fleet.resolve("big.tar.gz"));
        host("bad");
        Run run = inSmallMemory("--fleet", fleet, "--format", "csv", "--require-coherent");
        assertThat(run.exit()).as(run.out()).isEqualTo(2);
        assertThat(run.out().lines().toList()).hasSize(4).startsWith(HEADER);
        assertThat(run.out())
                .contains("big.tar.gz,,ERROR,", "needs more memory", "good,6.1,COHERENT", "bad,6.1,NONCOHERENT");
    }

    @Test
    void oneHostThatNeedsMoreMemoryThanThereIsIsNoBadAnswer() throws IOException, InterruptedException {
        Run run = inSmallMemory(big(folder.resolve("big.tar.gz")));
        assertThat(run.exit()).isEqualTo(2);
        assertThat(run.out().lines())
                .singleElement()
                .asString()
                .startsWith("iommu4j: ")
                .contains("gave up: java.lang.OutOfMemoryError");
    }
}
