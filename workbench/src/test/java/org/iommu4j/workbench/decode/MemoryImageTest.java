// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.github.luben.zstd.Zstd;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.iommu4j.host.InputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MemoryImageTest {
    @TempDir
    private Path folder;

    private Dump dump() {
        return new Dump(folder);
    }

    private static void assertRefused(Path file, String... parts) {
        assertThatThrownBy(() -> MemoryImage.open(file, null, Long.MAX_VALUE))
                .isInstanceOf(InputException.class)
                .hasMessageStartingWith(file.toString())
                .hasMessageContainingAll(parts)
                .satisfies(thrown -> assertThat(thrown.getMessage()).doesNotContain("\n"));
    }

    @Test
    void pagesAreMemoryAndNothingElseIs() throws IOException {
        Dump dump = dump().set(0x5000, 1).set(0x5ff8, 2).set(0xf_ffff_ffff_f008L, 3);
        for (Path file : List.of(dump.pages("a.bin"), dump.compressedPages("a.bin.zst"))) {
            try (MemoryImage image = MemoryImage.open(file, null, Long.MAX_VALUE)) {
                assertThat(image.read(0x5000, true)).isEqualTo(1);
                assertThat(image.read(0x5ff8, false)).isEqualTo(2);
                assertThat(image.read(0xf_ffff_ffff_f008L, true)).isEqualTo(3);
                assertThat(image.isMemory(0x5ff8)).isTrue();
                assertThat(image.isMemory(0x6000)).isFalse();
                assertThat(image.isMemory(0x4ff8)).isFalse();
                assertThat(image.isMemory(-8)).isFalse();
                assertThat(image.read(0x6000, true)).isEqualTo(-1);
                assertThat(image.warnings()).isEmpty();
            }
        }
    }

    /** More pages than are held at once, in an order that makes them push each other out. */
    @Test
    void anyOrderOfReadsFindsWhatIsThere() throws IOException {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        Dump dump = dump();
        long[] addresses = new long[3000];
        for (int i = 0; i < addresses.length; i++) {
            addresses[i] = (random.nextLong() & 0xff_ffff) << 12;
            dump.set(addresses[i], addresses[i] ^ 0x5a5a);
        }
        try (MemoryImage image = MemoryImage.open(dump.pages("a.pages"), null, Long.MAX_VALUE)) {
            for (int i = 0; i < 20_000; i++) {
                long address = addresses[random.nextInt(addresses.length)];
                assertThat(image.read(address, true)).as("seed %d", seed).isEqualTo(address ^ 0x5a5a);
            }
        }
    }

    @Test
    void ofAPageThatIsThereTwiceTheLastCountsAndAWarningSaysSo() throws IOException {
        byte[] once = dump().set(0x5000, 1).pageBytes();
        byte[] again = dump().set(0x5000, 2).pageBytes();
        byte[] both = Arrays.copyOf(once, 2 * once.length);
        System.arraycopy(again, 0, both, once.length, again.length);
        try (MemoryImage image = MemoryImage.open(Files.write(folder.resolve("a.bin"), both), null, Long.MAX_VALUE)) {
            assertThat(image.read(0x5000, true)).isEqualTo(2);
            assertThat(image.warnings()).singleElement().asString().contains("1 pages", "0x5000");
        }
    }

    @Test
    void aRawImageEndsWhereItsFileEnds() throws IOException {
        Path file = dump().set(0x2000, 7).set(0x3008, 8).raw("a.img", 0x3010);
        Path compressed = Files.write(folder.resolve("b.raw.zst"), Zstd.compress(Files.readAllBytes(file)));
        for (Path image : List.of(file, compressed)) {
            try (MemoryImage memory = MemoryImage.open(image, null, Long.MAX_VALUE)) {
                assertThat(memory.read(0x2000, true)).isEqualTo(7);
                assertThat(memory.read(0, true)).isZero();
                assertThat(memory.read(0x3008, true)).isEqualTo(8);
            }
        }
        Path cut = dump().set(0x2000, 7).raw("c.mem", 0x1_0804);
        try (MemoryImage memory = MemoryImage.open(cut, null, Long.MAX_VALUE)) {
            assertThat(memory.isMemory(0x1_07f8)).isTrue();
            assertThat(memory.isMemory(0x1_0800)).isFalse();
            assertThat(memory.read(0x1_0800, true)).isEqualTo(-1);
        }
    }

    @Test
    void holesOfACompressedRawImageStayHoles() throws IOException {
        Path file = dump().set(0x20_0000, 7).raw("a.raw", 0x40_0000);
        Path compressed = Files.write(folder.resolve("b.raw.zst"), Zstd.compress(Files.readAllBytes(file)));
        try (MemoryImage memory = MemoryImage.open(compressed, null, Long.MAX_VALUE)) {
            assertThat(memory.read(0x20_0000, true)).isEqualTo(7);
            assertThat(memory.read(0x3f_fff8, true)).isZero();
            assertThat(memory.isMemory(0x3f_fff8)).isTrue();
            assertThat(memory.isMemory(0x40_0000)).isFalse();
        }
    }

    @ParameterizedTest
    @CsvSource({
        "a.bin, PAGES",
        "a.pages, PAGES",
        "A.BIN, PAGES",
        "pages.bin.zst, PAGES",
        "a.raw, RAW",
        "a.img.zst, RAW",
        "a.dump, RAW",
        "a.mem, RAW"
    })
    void theNameTellsTheFormat(Path file, MemoryFormat format) {
        assertThat(MemoryFormat.ofName(file)).contains(format);
    }

    @Test
    void aNameThatTellsNothingNeedsTheFormat() throws IOException {
        Path file = dump().set(0x5000, 1).pages("memory");
        assertRefused(file, "--memory-format");
        try (MemoryImage image = MemoryImage.open(file, MemoryFormat.PAGES, Long.MAX_VALUE)) {
            assertThat(image.read(0x5000, true)).isEqualTo(1);
        }
    }

    @Test
    void aPagesFileHasWholePages() throws IOException {
        byte[] bytes = dump().set(0x5000, 1).set(0x6000, 2).pageBytes();
        assertRefused(
                Files.write(folder.resolve("a.bin"), Arrays.copyOf(bytes, 8207)), "8207 bytes", "multiple of 4104");
        assertRefused(
                Files.write(folder.resolve("a.bin.zst"), Zstd.compress(Arrays.copyOf(bytes, 8207))),
                "8207 bytes",
                "multiple of 4104");
        assertRefused(Files.write(folder.resolve("b.bin"), new byte[0]), "empty");
    }

    @ParameterizedTest
    @ValueSource(longs = {0x6010, -4096, 1L << 52})
    void aPageHasAPlausibleAddress(long address) throws IOException {
        byte[] bytes = dump().set(0x5000, 1).set(0x6000, 2).pageBytes();
        for (int i = 0; i < 8; i++) {
            bytes[4104 + i] = (byte) (address >>> (8 * i));
        }
        assertRefused(
                Files.write(folder.resolve("a.bin"), bytes),
                "page 1 has the address 0x" + Long.toHexString(address),
                "multiple of 4096");
    }

    @Test
    void whatIsNotCompressedOrCutShortIsRefused() throws IOException {
        byte[] compressed = Files.readAllBytes(dump().set(0x5000, 1).compressedPages("a.bin.zst"));
        assertRefused(
                Files.write(folder.resolve("b.bin.zst"), Arrays.copyOf(compressed, compressed.length - 3)),
                "can't be read");
        assertRefused(Files.writeString(folder.resolve("c.bin.zst"), "no zstd at all"), "can't be read");
    }

    @Test
    void aCoreDumpIsNotTakenForARawImage() throws IOException {
        assertRefused(Files.write(folder.resolve("a.dump"), new byte[] {0x7f, 'E', 'L', 'F', 0, 0, 0, 0}), "ELF");
    }

    @Test
    void whatIsNoFileIsRefused() throws IOException {
        assertRefused(folder.resolve("none.bin"), "no such file");
        assertRefused(folder.resolve("none"), "no such file");
        assertRefused(Files.createDirectory(folder.resolve("folder.bin")), "directory");
    }

    @Test
    void nothingCanBeWritten() throws IOException {
        try (MemoryImage image = MemoryImage.open(dump().set(0x5000, 1).pages("a.bin"), null, Long.MAX_VALUE)) {
            assertThatThrownBy(() -> image.write(0x5000, 2, true)).isInstanceOf(IllegalStateException.class);
            assertThatThrownBy(() -> image.write32(0x5000, 2, true)).isInstanceOf(IllegalStateException.class);
            assertThatThrownBy(() -> image.compareAndSet(0x5000, 1, 2, true)).isInstanceOf(IllegalStateException.class);
        }
    }
}
