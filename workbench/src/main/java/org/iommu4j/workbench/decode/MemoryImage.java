// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.iommu4j.host.InputException;
import org.iommu4j.sim.spi.Fabric;
import org.jspecify.annotations.Nullable;

/**
 * Memory of a host in a file, read by position: a mebibyte of it at a time is in the heap, whatever its size.
 *
 * <p>It can only be read, and belongs to one thread. Of a compressed file there is a temporary copy until
 * {@link #close()}.
 */
public abstract class MemoryImage implements Fabric, AutoCloseable {
    static final int PAGE_SHIFT = 12;
    static final int PAGE_SIZE = 1 << PAGE_SHIFT;

    /** A power of two. */
    private static final int CACHED_PAGES = 256;

    private final Path file;
    private final FileChannel channel;
    private final ByteBuffer buffer = ByteBuffer.allocateDirect(PAGE_SIZE).order(ByteOrder.LITTLE_ENDIAN);
    private final long[] cachedAt = new long[CACHED_PAGES];
    private final long[][] cached = new long[CACHED_PAGES][];

    /**
     * Makes an image of an open file.
     *
     * @param file as the user named it, for messages
     */
    MemoryImage(Path file, FileChannel channel) {
        this.file = file;
        this.channel = channel;
        Arrays.fill(cachedAt, -1);
    }

    /**
     * Opens an image; one whose name ends in {@code .zst} is decompressed into a temporary file first.
     *
     * @param format null to go by the name: {@code .bin} and {@code .pages} are pages; {@code .raw}, {@code .img},
     *     {@code .dump} and {@code .mem} raw
     * @param unpackLimit bytes to which a compressed image may be decompressed
     * @throws InputException when it can't be read, or is not of this format
     */
    public static MemoryImage open(Path file, @Nullable MemoryFormat format, long unpackLimit) {
        if (!Files.isRegularFile(file)) {
            String problem = Files.isDirectory(file)
                    ? "is a directory"
                    : Files.exists(file) ? "is not a regular file" : "no such file";
            throw new InputException(file + ": " + problem + ", expected a memory image");
        }
        MemoryFormat known = format != null
                ? format
                : MemoryFormat.ofName(file)
                        .orElseThrow(() -> new InputException(file + ": its name does not show its format, expected"
                                + " --memory-format pages or raw, or a name that ends in .bin or .raw"));
        try {
            return switch (known) {
                case PAGES -> PagesImage.openPages(file, unpackLimit);
                case RAW -> RawImage.openRaw(file, unpackLimit);
            };
        } catch (IOException e) {
            throw InputException.of(file.toString(), "can't be read as a memory image", e);
        }
    }

    /** Returns the doubts about the contents, one line each. */
    public List<String> warnings() {
        return List.of();
    }

    /** Returns where in the file a page begins that is memory. */
    abstract long position(long pageNumber);

    @Override
    public long read(long physicalAddress, boolean snoop) {
        if (!isMemory(physicalAddress)) {
            return -1;
        }
        long page = physicalAddress >>> PAGE_SHIFT;
        int slot = (int) page & (CACHED_PAGES - 1);
        if (cachedAt[slot] != page) {
            fill(slot, page);
        }
        return cached[slot][(int) (physicalAddress & (PAGE_SIZE - 1)) >>> 3];
    }

    private void fill(int slot, long page) {
        long position = position(page);
        buffer.clear();
        try {
            while (buffer.hasRemaining()) {
                if (channel.read(buffer, position + buffer.position()) < 0) {
                    break;
                }
            }
        } catch (IOException e) {
            throw InputException.of(file + ": page 0x" + Long.toHexString(page << PAGE_SHIFT), "can't be read", e);
        }
        // The last page of a raw image may be cut.
        while (buffer.hasRemaining()) {
            buffer.put((byte) 0);
        }
        long[] words = cached[slot];
        if (words == null) {
            words = new long[PAGE_SIZE / Long.BYTES];
            cached[slot] = words;
        }
        buffer.flip().asLongBuffer().get(words);
        cachedAt[slot] = page;
    }

    @Override
    public void write(long physicalAddress, long value, boolean snoop) {
        throw readOnly(physicalAddress);
    }

    @Override
    public void write32(long physicalAddress, int value, boolean snoop) {
        throw readOnly(physicalAddress);
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
        throw readOnly(physicalAddress);
    }

    private IllegalStateException readOnly(long physicalAddress) {
        return new IllegalStateException(
                "a write to 0x" + Long.toHexString(physicalAddress) + " of " + file + ", which is read-only");
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw InputException.of(file.toString(), "can't be closed", e);
        }
    }
}
