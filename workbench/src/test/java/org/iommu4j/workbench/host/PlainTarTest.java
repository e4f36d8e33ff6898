// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.junit.jupiter.api.Test;

/** What is read fast is what the library reads; what is not understood is left to it. */
class PlainTarTest {
    private interface Contents {
        void write(TarArchiveOutputStream tar) throws IOException;
    }

    private static byte[] tar(Contents contents) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (TarArchiveOutputStream tar = new TarArchiveOutputStream(bytes, "UTF-8")) {
            contents.write(tar);
        }
        return bytes.toByteArray();
    }

    private static void put(TarArchiveOutputStream tar, TarArchiveEntry entry, byte... contents) throws IOException {
        entry.setSize(contents.length);
        tar.putArchiveEntry(entry);
        tar.write(contents);
        tar.closeArchiveEntry();
    }

    private static TarArchiveEntry link(String name, byte type, String target) {
        TarArchiveEntry entry = new TarArchiveEntry(name, type);
        entry.setLinkName(target);
        return entry;
    }

    private static String line(String name, boolean directory, String link, byte[] contents) {
        return name + (directory ? " directory" : link != null ? " -> " + link : " " + Arrays.toString(contents));
    }

    private static List<String> fast(byte[] tar) throws IOException {
        List<String> lines = new ArrayList<>();
        PlainTar reader = new PlainTar(new ByteArrayInputStream(tar));
        while (reader.next()) {
            boolean file = !reader.isDirectory() && reader.link() == null;
            // Some are left unread, to see that the next one is found all the same.
            boolean read = file && lines.size() % 3 != 0;
            lines.add(line(reader.name(), reader.isDirectory(), reader.link(), read ? reader.contents() : new byte[0]));
        }
        return lines;
    }

    private static List<String> byLibrary(byte[] tar) throws IOException {
        List<String> lines = new ArrayList<>();
        try (TarArchiveInputStream reader = new TarArchiveInputStream(new ByteArrayInputStream(tar), "UTF-8")) {
            for (TarArchiveEntry entry = reader.getNextEntry(); entry != null; entry = reader.getNextEntry()) {
                String link = entry.isSymbolicLink() ? entry.getLinkName() : null;
                boolean read = entry.isFile() && link == null && lines.size() % 3 != 0;
                lines.add(line(
                        entry.getName(),
                        entry.isDirectory(),
                        link,
                        read ? reader.readNBytes((int) entry.getSize()) : new byte[0]));
            }
        }
        return lines;
    }

    private static String name(Random random) {
        StringBuilder name = new StringBuilder("sys");
        int length = random.nextInt(4) == 0 ? random.nextInt(400) : random.nextInt(90);
        while (name.length() < length) {
            name.append(random.nextInt(8) == 0 ? '/' : (char) ('a' + random.nextInt(26)));
        }
        return name.append('z').toString();
    }

    @Test
    void ordinaryTarsOfAnyFormatAreReadAsTheLibraryReadsThem() throws IOException {
        long seed = Long.getLong("iommu4j.seed", new Random().nextLong());
        Random random = new Random(seed);
        int entries = 0;
        for (int round = 0; round < 60; round++) {
            int mode = round % 2 == 0 ? TarArchiveOutputStream.LONGFILE_GNU : TarArchiveOutputStream.LONGFILE_POSIX;
            byte[] tar = tar(out -> {
                out.setLongFileMode(mode);
                for (int i = 0; i < 40; i++) {
                    switch (random.nextInt(4)) {
                        case 0 -> put(out, new TarArchiveEntry(name(random) + "/"));
                        case 1 -> put(out, link(name(random), TarConstants.LF_SYMLINK, "../" + name(random)));
                        default -> {
                            byte[] contents = new byte[random.nextInt(3) * 512 + random.nextInt(3)];
                            random.nextBytes(contents);
                            put(out, new TarArchiveEntry(name(random)), contents);
                        }
                    }
                }
            });
            List<String> expected = byLibrary(tar);
            assertThat(fast(tar)).as("seed %d, round %d", seed, round).isEqualTo(expected);
            entries += expected.size();
        }
        System.out.println("tars: 60, " + entries + " entries as the library reads them, seed " + seed);
    }

    @Test
    void whatIsNotOrdinaryIsLeftToTheLibrary() throws IOException {
        List<Contents> unusual = List.of(
                out -> put(out, link("sys/hard", TarConstants.LF_LINK, "sys/a")),
                out -> put(out, new TarArchiveEntry("sys/\u00fc")),
                out -> {
                    TarArchiveEntry sparse = new TarArchiveEntry("sys/b");
                    sparse.addPaxHeader("GNU.sparse.major", "1");
                    sparse.addPaxHeader("GNU.sparse.minor", "0");
                    put(out, sparse, "0\n".getBytes(StandardCharsets.US_ASCII));
                },
                out -> put(out, new TarArchiveEntry("sys/fifo", TarConstants.LF_FIFO)));
        for (Contents contents : unusual) {
            byte[] tar = tar(out -> {
                put(out, new TarArchiveEntry("sys/a"), (byte) 'x');
                contents.write(out);
                put(out, new TarArchiveEntry("sys/last"), (byte) 'y');
            });
            assertThatExceptionOfType(PlainTar.UnusualException.class).isThrownBy(() -> fast(tar));
        }
        byte[] hard = tar(out -> {
            put(out, link("sys/hard", TarConstants.LF_LINK, "sys/a"));
            put(out, new TarArchiveEntry("sys/last"), (byte) 'y');
        });
        CaptureFiles files = CaptureFiles.ofTar(() -> new ByteArrayInputStream(hard), "hard.tar");
        assertThat(files.text("sys/last")).contains("y");
    }

    @Test
    void aTarThatEndsInTheMiddleOfAFileIsRefused() throws IOException {
        byte[] tar = tar(out -> put(out, new TarArchiveEntry("sys/a"), new byte[2_000]));
        for (int length : new int[] {513, 1_024, 2_000, 2_511}) {
            byte[] cut = Arrays.copyOf(tar, length);
            assertThatExceptionOfType(InputException.class)
                    .isThrownBy(() -> CaptureFiles.ofTar(() -> new ByteArrayInputStream(cut), "cut.tar"))
                    .withMessageStartingWith("cut.tar: can't be read as a capture");
        }
    }
}
