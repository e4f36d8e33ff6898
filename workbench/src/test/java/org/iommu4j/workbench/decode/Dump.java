// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import com.github.luben.zstd.Zstd;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.TreeMap;

/** Memory and registers made by hand. */
public final class Dump {
    private final Path folder;
    private final Map<Long, long[]> pages = new TreeMap<>();

    /** Makes an empty dump whose files will be in a folder. */
    public Dump(Path folder) {
        this.folder = folder;
    }

    /** Puts a word at a physical address. */
    public Dump set(long address, long word) {
        pages.computeIfAbsent(address & -4096, unused -> new long[512])[(int) (address & 4095) / 8] = word;
        return this;
    }

    /** Writes a file of pages. */
    public Path pages(String name) throws IOException {
        return Files.write(folder.resolve(name), pageBytes());
    }

    /** Writes a compressed file of pages. */
    public Path compressedPages(String name) throws IOException {
        return Files.write(folder.resolve(name), Zstd.compress(pageBytes()));
    }

    byte[] pageBytes() {
        ByteBuffer bytes = ByteBuffer.allocate(pages.size() * 4104).order(ByteOrder.LITTLE_ENDIAN);
        pages.forEach((address, words) -> {
            bytes.putLong(address);
            for (long word : words) {
                bytes.putLong(word);
            }
        });
        return bytes.array();
    }

    /** Writes an image from address 0, with holes where nothing is. */
    public Path raw(String name, long size) throws IOException {
        Path file = folder.resolve(name);
        try (FileChannel channel = FileChannel.open(
                file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE, StandardOpenOption.SPARSE)) {
            channel.write(ByteBuffer.wrap(new byte[1]), size - 1);
            for (Map.Entry<Long, long[]> page : pages.entrySet()) {
                ByteBuffer bytes = ByteBuffer.allocate(4096).order(ByteOrder.LITTLE_ENDIAN);
                bytes.asLongBuffer().put(page.getValue());
                channel.write(bytes, page.getKey());
            }
        }
        return file;
    }

    /** Writes the registers of a {@link LadderSilicon}. */
    public Path registers(long root, int levels) throws IOException {
        return Files.writeString(
                folder.resolve("regs.txt"),
                String.format(
                        "00000000fed00000: 0x%016x 0x%016x%n00000000fed00010: 0x%016x 0x0000000000000000%n"
                                + "00000000fed00020: Cannot access memory%n",
                        LadderSilicon.MAGIC, root, levels));
    }
}
