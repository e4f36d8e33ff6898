// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.iommu4j.host.InputException;

/**
 * A file of single pages, each behind its physical address; nothing else is memory.
 *
 * <p>Of a page that occurs more than once the last copy is used, with a warning.
 */
final class PagesImage extends MemoryImage {
    private static final int RECORD = Long.BYTES + PAGE_SIZE;
    private static final long MAX_ADDRESS = 1L << 52;

    private final Path file;
    private final PageIndex index;

    private PagesImage(Path file, FileChannel channel, PageIndex index) {
        super(file, channel);
        this.file = file;
        this.index = index;
    }

    static MemoryImage openPages(Path file, long unpackLimit) throws IOException {
        PageIndex index = new PageIndex();
        FileChannel channel =
                MemoryFormat.isCompressed(file) ? decompressed(file, unpackLimit, index) : indexed(file, index);
        if (index.size() == 0) {
            channel.close();
            throw new InputException(file + ": is empty, expected at least one page");
        }
        return new PagesImage(file, channel, index);
    }

    private static FileChannel indexed(Path file, PageIndex index) throws IOException {
        FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
        try {
            long size = channel.size();
            checkLength(file, size);
            ByteBuffer header = ByteBuffer.allocateDirect(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            for (long position = 0; position < size; position += RECORD) {
                header.clear();
                while (header.hasRemaining()) {
                    if (channel.read(header, position + header.position()) < 0) {
                        throw new IOException("it became shorter while it was read");
                    }
                }
                index.put(pageNumber(file, header.getLong(0), position), position + Long.BYTES);
            }
            return channel;
        } catch (IOException | RuntimeException failure) {
            channel.close();
            throw failure;
        }
    }

    private static FileChannel decompressed(Path file, long unpackLimit, PageIndex index) throws IOException {
        FileChannel channel = Zstandard.temporaryFile();
        try (InputStream in = Zstandard.open(file, unpackLimit)) {
            ByteBuffer page = ByteBuffer.allocate(RECORD).order(ByteOrder.LITTLE_ENDIAN);
            long position = 0;
            int length = in.readNBytes(page.array(), 0, RECORD);
            while (length != 0) {
                checkLength(file, position + length);
                index.put(pageNumber(file, page.getLong(0), position), position + Long.BYTES);
                page.clear();
                while (page.hasRemaining()) {
                    channel.write(page, position + page.position());
                }
                position += RECORD;
                length = in.readNBytes(page.array(), 0, RECORD);
            }
            return channel;
        } catch (IOException | RuntimeException failure) {
            channel.close();
            throw failure;
        }
    }

    private static void checkLength(Path file, long length) {
        if (length % RECORD != 0) {
            throw new InputException(file + ": has " + length + " bytes, expected a multiple of " + RECORD
                    + " (pages of 8 bytes of address and 4096 of contents; for memory from address 0 on,"
                    + " --memory-format raw)");
        }
    }

    private static long pageNumber(Path file, long address, long position) {
        if ((address & (PAGE_SIZE - 1)) != 0 || address < 0 || address >= MAX_ADDRESS) {
            throw new InputException(file + ": page " + position / RECORD + " has the address 0x"
                    + Long.toHexString(address) + ", expected a multiple of 4096 below 2^52");
        }
        return address >>> PAGE_SHIFT;
    }

    @Override
    public List<String> warnings() {
        return index.repeated() == 0
                ? List.of()
                : List.of(file + ": " + index.repeated()
                        + " pages occur more than once, the last copies are used; first 0x"
                        + Long.toHexString(index.firstRepeated() << PAGE_SHIFT));
    }

    @Override
    public boolean isMemory(long physicalAddress) {
        return index.position(physicalAddress >>> PAGE_SHIFT) >= 0;
    }

    @Override
    long position(long pageNumber) {
        return index.position(pageNumber);
    }
}
