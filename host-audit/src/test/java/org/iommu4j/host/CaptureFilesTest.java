// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CaptureFilesTest {
    @TempDir
    private Path folder;

    private interface TarContents {
        void write(TarArchiveOutputStream tar) throws IOException;
    }

    private Path tar(TarContents contents) throws IOException {
        Path file = folder.resolve("capture.tar");
        try (OutputStream out = Files.newOutputStream(file);
                TarArchiveOutputStream tar = new TarArchiveOutputStream(out)) {
            tar.setLongFileMode(TarArchiveOutputStream.LONGFILE_GNU);
            contents.write(tar);
        }
        return file;
    }

    private static void file(TarArchiveOutputStream tar, String name, String text) throws IOException {
        entry(tar, name, text.getBytes(StandardCharsets.UTF_8));
    }

    private static void entry(TarArchiveOutputStream tar, String name, byte[] bytes) throws IOException {
        TarArchiveEntry entry = new TarArchiveEntry(name, true);
        entry.setSize(bytes.length);
        tar.putArchiveEntry(entry);
        tar.write(bytes);
        tar.closeArchiveEntry();
    }

    private static void link(TarArchiveOutputStream tar, String name, String target) throws IOException {
        TarArchiveEntry entry = new TarArchiveEntry(name, TarConstants.LF_SYMLINK);
        entry.setLinkName(target);
        tar.putArchiveEntry(entry);
        tar.closeArchiveEntry();
    }

    @Test
    void linksInsideTheCaptureAreFollowed() throws IOException {
        CaptureFiles files = CaptureFiles.open(tar(tar -> {
            file(tar, "./sys/devices/a/config", "x\n");
            link(tar, "./sys/bus/a", "../devices/a");
            link(tar, "./sys/absolute", "/sys/devices/a/config");
        }));
        assertThat(files.text("sys/bus/a/config")).contains("x");
        assertThat(files.resolve("sys/bus/a")).contains("sys/devices/a");
        assertThat(files.text("sys/absolute")).contains("x");
        assertThat(files.list("sys/bus/a")).containsExactly("config");
    }

    @Test
    void linksThatLoopOrLeadOutsideLeadNowhere() throws IOException {
        CaptureFiles files = CaptureFiles.open(tar(tar -> {
            file(tar, "sys/a", "x");
            link(tar, "sys/loop", "loop");
            link(tar, "sys/ping", "pong");
            link(tar, "sys/pong", "ping");
            link(tar, "sys/out", "../../../etc/passwd");
        }));
        assertThat(files.bytes("sys/loop")).isEmpty();
        assertThat(files.bytes("sys/ping/x")).isEmpty();
        assertThat(files.bytes("sys/out")).isEmpty();
        assertThat(files.list("sys/loop")).isEmpty();
    }

    @Test
    void anEntryThatLeadsOutsideTheCaptureIsRefused() throws IOException {
        Path tar = tar(out -> file(out, "sys/../../evil", "x"));
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> CaptureFiles.open(tar))
                .withMessageContaining("'sys/../../evil' leads outside");
    }

    @Test
    void aDirectoryIsReadAsATarIs() throws IOException {
        Files.createDirectories(folder.resolve("sys/devices/a"));
        Files.writeString(folder.resolve("sys/devices/a/config"), "y");
        Files.createSymbolicLink(folder.resolve("sys/link"), Path.of("devices/a"));
        CaptureFiles files = CaptureFiles.open(folder);
        assertThat(files.text("sys/link/config")).contains("y");
    }

    @Test
    void whatIsNoCaptureIsRefusedInOneLine() throws IOException {
        Path garbage = Files.write(folder.resolve("garbage"), new byte[10_000]);
        Path text = Files.writeString(folder.resolve("notes.txt"), "hello ".repeat(500));
        Path noSys = tar(out -> file(out, "etc/hosts", "x"));
        for (Path path : new Path[] {garbage, text, noSys, folder.resolve("absent")}) {
            assertThatExceptionOfType(InputException.class)
                    .isThrownBy(() -> CaptureFiles.open(path))
                    .satisfies(e -> assertThat(e.getMessage())
                            .startsWith(path.toString())
                            .doesNotContain("\n"));
        }
    }

    @Test
    void aTruncatedTarIsRefused() throws IOException {
        Path tar = tar(out -> file(out, "sys/a", "x".repeat(20_000)));
        byte[] bytes = Files.readAllBytes(tar);
        Path cut = Files.write(folder.resolve("cut.tar"), Arrays.copyOf(bytes, 9_000));
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> CaptureFiles.open(cut))
                .withMessageContaining("cut.tar");
    }

    /**
     * Where a file's contents are cut the library tells; where a header is, or between two files, it takes the tar for
     * whole.
     */
    @ParameterizedTest
    @ValueSource(ints = {512 + 512 + 200, 512 + 512, 512 + 512 + 512 + 512})
    void aTarCutInAHeaderOrBetweenTwoFilesIsRefused(int length) throws IOException {
        byte[] bytes = Files.readAllBytes(tar(out -> {
            file(out, "sys/a", "x");
            file(out, "sys/b", "y");
        }));
        Path cut = Files.write(folder.resolve("cut.tar"), Arrays.copyOf(bytes, length));
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> CaptureFiles.open(cut))
                .withMessageContaining("cut.tar: is truncated")
                .satisfies(e -> assertThat(e.getMessage()).doesNotContain("\n"));
    }

    /** GNU tar says so and reads on; the rest of the last block of 20 is missing in many. */
    @Test
    void oneEmptyBlockAtTheEndIsEnough() throws IOException {
        byte[] bytes = Files.readAllBytes(tar(out -> file(out, "sys/a", "x")));
        Path lone = Files.write(folder.resolve("lone.tar"), Arrays.copyOf(bytes, 3 * 512));
        assertThat(CaptureFiles.open(lone).text("sys/a")).contains("x");
    }

    @Test
    void whatLiesBesideTheSysTreeOfADirectoryIsNotRead() throws IOException {
        Files.createDirectories(folder.resolve("sys/devices"));
        Files.createDirectories(folder.resolve("home/pictures"));
        Files.writeString(folder.resolve("home/pictures/big"), "z");
        Files.writeString(folder.resolve("dmesg.txt"), "log");
        CaptureFiles files = CaptureFiles.open(folder);
        assertThat(files.text("dmesg.txt")).contains("log");
        assertThat(files.bytes("home/pictures/big")).isEmpty();
        assertThat(files.list("")).containsExactly("dmesg.txt", "sys");
    }

    private static void assertTooBig(Path tar, String... parts) {
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> CaptureFiles.open(tar))
                .satisfies(e -> assertThat(e.getMessage())
                        .startsWith(tar.toString())
                        .contains(parts)
                        .doesNotContain("\n", "\u001b"));
    }

    @Test
    void aFileOfMoreThan16MibIsRefused() throws IOException {
        assertTooBig(
                tar(out -> entry(out, "sys/\u001b[31mbig", new byte[(16 << 20) + 1])), "is too big", "16 MiB a file");
    }

    /** What is left out of a compressed tar still has to be decompressed. */
    @Test
    void aCompressedTarThatUnfoldsToMoreThan256MibIsRefused() throws IOException {
        Path tar = folder.resolve("bomb.tar.gz");
        try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(tar));
                TarArchiveOutputStream archive = new TarArchiveOutputStream(out)) {
            byte[] zeros = new byte[16 << 20];
            for (int i = 0; i < 17; i++) {
                entry(archive, (i == 0 ? "sys/" : "home/") + i, zeros);
            }
        }
        assertTooBig(tar, "256 MiB in all");
    }

    @Test
    void moreThan200000EntriesAreRefused() throws IOException {
        Path tar = folder.resolve("many.tar.gz");
        try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(tar));
                TarArchiveOutputStream archive = new TarArchiveOutputStream(out)) {
            for (int i = 0; i <= 200_000; i++) {
                entry(archive, "home/" + i, new byte[0]);
            }
        }
        assertTooBig(tar, "more than 200000 entries");
    }

    // --- what a small tar can't make us do ---

    private Path zipped(TarContents contents) throws IOException {
        Path file = folder.resolve("small.tar.gz");
        try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file));
                TarArchiveOutputStream tar = new TarArchiveOutputStream(out)) {
            tar.setLongFileMode(TarArchiveOutputStream.LONGFILE_GNU);
            contents.write(tar);
        }
        assertThat(Files.size(file)).as("bytes of %s", file).isLessThan(2 << 20);
        return file;
    }

    /** As GNU tar writes them: what is too long for a header stands in an entry before it. */
    private static void described(TarArchiveOutputStream tar, byte kind, String words) throws IOException {
        byte[] bytes = words.getBytes(StandardCharsets.UTF_8);
        TarArchiveEntry entry = new TarArchiveEntry("././@LongLink", kind);
        entry.setSize(bytes.length);
        tar.putArchiveEntry(entry);
        tar.write(bytes);
        tar.closeArchiveEntry();
    }

    private static void longFile(TarArchiveOutputStream tar, String name) throws IOException {
        described(tar, TarConstants.LF_GNUTYPE_LONGNAME, name);
        file(tar, "x", "x");
    }

    private static void assertRefused(Path tar, String words) {
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> CaptureFiles.open(tar))
                .withMessageContaining(words)
                .satisfies(e ->
                        assertThat(e.getMessage()).startsWith(tar.toString()).hasSizeLessThan(1_000));
    }

    @ParameterizedTest
    @ValueSource(strings = {"sys/", "home/"})
    void aNameOfAHundredThousandPartsIsRefused(String top) throws IOException {
        assertRefused(
                zipped(out -> {
                    for (int i = 0; i < 100; i++) {
                        longFile(out, top + (i + "/").repeat(100_000) + "x");
                    }
                }),
                "an entry's name has ");
    }

    /** Each name is as long as Linux allows, and none shares a directory with another. */
    @Test
    void theDirectoriesThatNamesNameCount() throws IOException {
        Path tar = zipped(out -> {
            for (int i = 0; i < 110; i++) {
                longFile(out, "sys/" + i + "/a".repeat(2_000));
            }
        });
        assertRefused(tar, "more than 200000 files, directories and links");
    }

    @Test
    void aLinkThatLeadsToAPathLongerThanAnyIsRefused() throws IOException {
        assertRefused(
                zipped(out -> {
                    described(out, TarConstants.LF_GNUTYPE_LONGLINK, "../".repeat(60_000));
                    link(out, "sys/l", "x");
                }),
                "link sys/l leads to a path of 180000 ");
    }

    @ParameterizedTest
    @ValueSource(
            bytes = {
                TarConstants.LF_GNUTYPE_LONGNAME,
                TarConstants.LF_GNUTYPE_LONGLINK,
                TarConstants.LF_PAX_EXTENDED_HEADER_LC
            })
    void whatDescribesAnEntryIsNotHeldInMemoryHoweverLongItIs(byte kind) throws IOException {
        int length = 8 << 20;
        String start = length + " path=sys/";
        assertRefused(
                zipped(out -> {
                    described(out, kind, start + "a".repeat(length - start.length() - 1) + '\n');
                    file(out, "sys/a", "x");
                }),
                "name and attributes of an entry are longer than 1 MiB");
    }

    @Test
    void whatLinksMakeOfASmallTarIsBounded() throws IOException {
        CaptureFiles files = CaptureFiles.open(tar(out -> {
            entry(out, "sys/big", new byte[10 << 20]);
            link(out, "sys/link", "big");
        }));
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> {
                    for (int i = 0; i < 60; i++) {
                        assertThat(files.bytes("sys/link")).isPresent();
                    }
                })
                .withMessageContaining("its links expand it to more than 512 MiB");
    }

    @Test
    void aSecondNameOfAFileIsThatFile() throws IOException {
        CaptureFiles files = CaptureFiles.open(tar(out -> {
            file(out, "sys/a/config", "x");
            TarArchiveEntry entry = new TarArchiveEntry("sys/b", TarConstants.LF_LINK);
            entry.setLinkName("sys/a/config");
            out.putArchiveEntry(entry);
            out.closeArchiveEntry();
            for (byte kind : new byte[] {TarConstants.LF_FIFO, TarConstants.LF_CHR, TarConstants.LF_BLK}) {
                out.putArchiveEntry(new TarArchiveEntry("sys/special" + kind, kind));
                out.closeArchiveEntry();
            }
        }));
        assertThat(files.text("sys/b")).contains("x");
        assertThat(files.list("sys")).containsExactly("a", "b");
    }

    @Test
    void whatLiesBesideTheSysTreeOfATarIsNotRead() throws IOException {
        CaptureFiles files = CaptureFiles.open(tar(tar -> {
            file(tar, "sys/a", "x");
            file(tar, "home/pictures/big", "z");
            file(tar, "proc/cmdline", "quiet");
            file(tar, "dmesg.txt", "log");
        }));
        assertThat(files.bytes("home/pictures/big")).isEmpty();
        assertThat(files.text("proc/cmdline")).contains("quiet");
        assertThat(files.text("dmesg.txt")).contains("log");
    }

    @Test
    void ofTwoEntriesOfAPathTheLastCounts() throws IOException {
        CaptureFiles files = CaptureFiles.open(tar(tar -> {
            file(tar, "sys/a", "old");
            link(tar, "sys/b", "a");
            file(tar, "sys/a", "new");
            file(tar, "sys/b", "own");
        }));
        assertThat(files.text("sys/a")).contains("new");
        assertThat(files.text("sys/b")).contains("own");
    }
}
