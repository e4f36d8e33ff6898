// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.iommu4j.pci.PciAddress;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Folders, archives and compressed texts. */
class PackedInputsTest {
    private static final String LOG = """
            [    0.000000] Linux version 6.8.12-4-pve (b@h) #1 SMP
            [    0.390000] pci 0000:03:00.0: Adding to iommu group 4
            """;
    private static final String OLD_LOG = LOG.replace("6.8.12-4-pve", "6.5.11-8-pve");
    private static final String LSPCI = """
            03:00.0 VGA compatible controller: Maker Graphics
            \tKernel driver in use: vfio-pci
            """;
    private static final PciAddress GRAPHICS = PciAddress.parse("03:00.0");

    @TempDir
    private Path folder;

    /** How the files of a host are put together. */
    private enum Container {
        FOLDER,
        ZIP,
        TAR,
        TAR_GZ;

        private Path of(Path place, Map<String, String> files) throws IOException {
            return switch (this) {
                case FOLDER -> {
                    for (Map.Entry<String, String> file : files.entrySet()) {
                        Path path = place.resolve("host").resolve(file.getKey());
                        Files.createDirectories(path.getParent());
                        Files.writeString(path, file.getValue());
                    }
                    yield place.resolve("host");
                }
                case ZIP -> Files.write(place.resolve("host.zip"), zip(files));
                case TAR -> Files.write(place.resolve("host.tar"), tar(files));
                case TAR_GZ -> Files.write(place.resolve("host.tar.gz"), gzip(tar(files)));
            };
        }
    }

    private static byte[] gzip(byte[] bytes) throws IOException {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (OutputStream out = new GZIPOutputStream(packed)) {
            out.write(bytes);
        }
        return packed.toByteArray();
    }

    private static byte[] gzip(String text) throws IOException {
        return gzip(text.getBytes(StandardCharsets.UTF_8));
    }

    private static byte[] zip(Map<String, String> files) throws IOException {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(packed)) {
            for (Map.Entry<String, String> file : files.entrySet()) {
                zip.putNextEntry(new ZipEntry(file.getKey()));
                zip.write(file.getValue().getBytes(StandardCharsets.UTF_8));
            }
        }
        return packed.toByteArray();
    }

    private static byte[] tar(Map<String, String> files) throws IOException {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (TarArchiveOutputStream tar = new TarArchiveOutputStream(packed)) {
            for (Map.Entry<String, String> file : files.entrySet()) {
                byte[] bytes = file.getValue().getBytes(StandardCharsets.UTF_8);
                TarArchiveEntry entry = new TarArchiveEntry(file.getKey());
                entry.setSize(bytes.length);
                tar.putArchiveEntry(entry);
                tar.write(bytes);
                tar.closeArchiveEntry();
            }
        }
        return packed.toByteArray();
    }

    private static HostEvidence read(Path path) {
        return HostInputs.withInstalledVendors().path(path).read();
    }

    private static void assertRefused(Path path, String words) {
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> HostInputs.withInstalledVendors().path(path))
                .withMessageStartingWith(path.toString())
                .withMessageContaining(words)
                .satisfies(e -> assertThat(e.getMessage()).doesNotContain("\n", "\u001b"));
    }

    private static void assertGraphics(HostEvidence host) {
        FunctionEvidence graphics = host.function(GRAPHICS).orElseThrow();
        assertThat(graphics.group().orElseThrow().value()).isEqualTo(4);
        assertThat(graphics.driver().orElseThrow().value()).isEqualTo("vfio-pci");
        assertThat(host.linux().orElseThrow()).hasToString("6.8.12-4-pve");
    }

    @ParameterizedTest
    @EnumSource
    void textsThatLieTogetherAreOfOneHost(Container container) throws IOException {
        Path host = container.of(folder, Map.of("dmesg.txt", LOG, "system/lspci.txt", LSPCI, "readme.md", "hello\n"));
        HostEvidence read = read(host);
        assertGraphics(read);
        assertThat(read.name()).isEqualTo("host");
        assertThat(read.inputs()).containsExactlyInAnyOrder(host + "/dmesg.txt", host + "/system/lspci.txt");
        assertThat(read.warnings()).containsExactly("not read: of no known kind: readme.md");
    }

    /** As sosreport and its like: a directory named after host and time, with a part of {@code sys/}. */
    @ParameterizedTest
    @EnumSource
    void diagnosticsWithAPartOfSysAreReadWholly(Container container) throws IOException {
        Map<String, String> files = new TreeMap<>(Map.of(
                "report-tower-1/proc/cmdline", "quiet intel_iommu=on\n",
                "report-tower-1/sos_commands/kernel/dmesg", LOG,
                "report-tower-1/sos_commands/pci/lspci_-nnvv", LSPCI,
                "report-tower-1/sos_commands/pci/lspci_-tv", "-[0000:00]-+-00.0\n",
                "report-tower-1/sys/kernel/mm/ksm/run", "0\n"));
        HostEvidence read = read(container.of(folder, files));
        assertGraphics(read);
        assertThat(read.commandLine().orElseThrow().value()).isEqualTo("quiet intel_iommu=on");
        assertThat(read.warnings()).isEmpty();
    }

    @ParameterizedTest
    @EnumSource
    void ofTwoHostsNoneIsRead(Container container) throws IOException {
        Path host = container.of(folder, new TreeMap<>(Map.of("a/dmesg.txt", LOG, "b/dmesg.txt", OLD_LOG)));
        assertRefused(host, "holds a/dmesg.txt and b/dmesg.txt, expected the files of one host; --fleet");
    }

    @ParameterizedTest
    @EnumSource
    void ofTwoSysTreesNoneIsRead(Container container) throws IOException {
        Path host = container.of(folder, new TreeMap<>(Map.of("a/sys/x", "1", "b/sys/x", "2")));
        assertRefused(host, "holds sys/ twice");
    }

    @ParameterizedTest
    @EnumSource
    void ofLogsTheOneOfThisBootIsRead(Container container) throws IOException {
        Path host = container.of(
                folder,
                Map.of(
                        "logs/dmesg.txt", LOG,
                        "logs/syslog.txt", OLD_LOG,
                        "logs/syslog-previous.txt", OLD_LOG,
                        "logs/dmesg.1", OLD_LOG,
                        "lspci.txt", LSPCI));
        HostEvidence read = read(host);
        assertGraphics(read);
        assertThat(read.contradictions()).isEmpty();
        assertThat(read.warnings())
                .containsExactlyInAnyOrder(
                        "not read: logs/syslog.txt: another log is read",
                        "not read: logs/syslog-previous.txt: another log is read",
                        "not read: logs/dmesg.1: another log is read");
    }

    @Test
    void aLogOfAnEarlierBootIsReadWhereThereIsNoOther() throws IOException {
        Files.write(folder.resolve("dmesg.0.gz"), gzip(LOG));
        Files.writeString(folder.resolve("lspci"), LSPCI);
        assertGraphics(read(folder));
    }

    @ParameterizedTest
    @EnumSource
    void whatHoldsNothingKnownIsRefused(Container container) throws IOException {
        Path host = container.of(folder, Map.of("a/notes.txt", "hello\n"));
        assertRefused(host, "is not a capture, expected a directory or tar");
        assertRefused(host, "a/notes.txt: is of no known kind");
    }

    @Test
    void aFolderMayHoldACaptureBesideItsTexts() throws IOException {
        Path host = Files.createDirectory(folder.resolve("host"));
        Files.write(host.resolve("capture.tar"), tar(Map.of("sys/kernel/iommu_groups/4/type", "DMA\n")));
        Files.writeString(host.resolve("lspci.txt"), LSPCI);
        HostEvidence read = read(host);
        assertThat(read.groups().get(4).type().orElseThrow().value()).isEqualTo("DMA");
        assertThat(read.function(GRAPHICS)).isPresent();
        assertThat(read.name()).isEqualTo("host");
    }

    @ParameterizedTest
    @ValueSource(strings = {"dmesg", "any"})
    void aCompressedTextIsRead(String option) throws IOException {
        Path file = Files.write(folder.resolve("dmesg.0.gz"), gzip(LOG));
        HostInputs inputs = HostInputs.withInstalledVendors();
        HostEvidence host = (option.equals("any") ? inputs.path(file) : inputs.dmesg(file)).read();
        assertThat(host.linux().orElseThrow()).hasToString("6.8.12-4-pve");
        assertThat(host.name()).isEqualTo("dmesg.0");
    }

    @ParameterizedTest
    @CsvSource({"xz, fd377a585a00", "bzip2, 425a6839", "zstd, 28b52ffd", "lz4, 04224d18", "7-Zip, 377abcaf271c"})
    void othersCompressionIsNamed(String program, String digits) throws IOException {
        byte[] bytes = new byte[300];
        for (int i = 0; i < digits.length() / 2; i++) {
            bytes[i] = (byte) Integer.parseInt(digits.substring(2 * i, 2 * i + 2), 16);
        }
        Path file = Files.write(folder.resolve("report.tar.xz"), bytes);
        assertRefused(file, "is compressed by " + program + ": unpack it first");
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> HostInputs.withInstalledVendors().dmesg(file))
                .withMessageContaining("is compressed by " + program);
    }

    @Test
    void theRestOfAFolderIsReadBesideWhatIsCompressedOtherwise() throws IOException {
        Files.writeString(folder.resolve("dmesg.txt"), LOG);
        Path other = Files.write(folder.resolve("old.xz"), new byte[] {(byte) 0xfd, '7', 'z', 'X', 'Z', 0, 1});
        HostEvidence host = read(folder);
        assertThat(host.linux()).isPresent();
        assertThat(host.warnings()).containsExactly("not read: " + other + ": is compressed by xz: unpack it first");
    }

    // --- what a small file can't make us do ---

    @Test
    void aCompressedTextThatUnfoldsToMoreThan32MibIsRefused() throws IOException {
        Path file = Files.write(folder.resolve("bomb.gz"), gzip(new byte[TextLines.MAX_BYTES + 1]));
        assertRefused(file, "is too big, expected at most 32 MiB");
    }

    @Test
    void aZipThatUnfoldsToMoreThan256MibIsRefused() throws IOException {
        Path file = folder.resolve("bomb.zip");
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
            byte[] zeros = new byte[1 << 20];
            for (int entry = 0; entry < 2; entry++) {
                zip.putNextEntry(new ZipEntry("home/" + entry));
                for (int i = 0; i < 129; i++) {
                    zip.write(zeros);
                }
            }
        }
        assertRefused(file, "256 MiB in all");
    }

    @Test
    void anEntryOfAZipThatLeadsOutsideIsRefused() throws IOException {
        Path file = Files.write(folder.resolve("evil.zip"), zip(Map.of("sys/../../evil", "x")));
        assertRefused(file, "'sys/../../evil' leads outside");
    }

    /** Cut in an entry, between two, and in the list at the end. */
    @ParameterizedTest
    @ValueSource(strings = {"in", "between", "list"})
    void aTruncatedZipIsRefused(String where) throws IOException {
        byte[] whole = zip(new TreeMap<>(Map.of("dmesg.txt", LOG.repeat(50), "lspci.txt", LSPCI)));
        String text = new String(whole, StandardCharsets.ISO_8859_1);
        int length = switch (where) {
            case "in" -> 60;
            case "between" -> text.indexOf("PK\u0003\u0004", 4);
            default -> text.indexOf("PK\u0001\u0002") + 40;
        };
        assertRefused(Files.write(folder.resolve("cut.zip"), Arrays.copyOf(whole, length)), "");
    }

    @Test
    void aLogThatIsTooBigIsLeftOutOfAnArchive() throws IOException {
        Path file = folder.resolve("host.zip");
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
            zip.putNextEntry(new ZipEntry("logs/syslog"));
            zip.write(new byte[HostFiles.MAX_FILE_BYTES + 1]);
            zip.putNextEntry(new ZipEntry("logs/dmesg"));
            zip.write(LOG.getBytes(StandardCharsets.UTF_8));
        }
        HostEvidence host = read(file);
        assertThat(host.linux()).isPresent();
        assertThat(host.warnings()).containsExactly("not read: logs/syslog: is too big, expected at most 16 MiB");
    }
}
