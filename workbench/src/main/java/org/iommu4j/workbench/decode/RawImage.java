// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.iommu4j.host.InputException;

/** A file with all memory from physical address 0 on; addresses after its end are not memory. */
final class RawImage extends MemoryImage {
    private static final int CHUNK = 1 << 16;

    /** The first bytes of an ELF file, little-endian; no interrupt vector 0 of a PC. */
    private static final int ELF = 0x464c457f;

    private final long size;

    private RawImage(Path file, FileChannel channel, long size) {
        super(file, channel);
        this.size = size;
    }

    static MemoryImage openRaw(Path file, long unpackLimit) throws IOException {
        FileChannel channel = MemoryFormat.isCompressed(file)
                ? decompressed(file, unpackLimit)
                : FileChannel.open(file, StandardOpenOption.READ);
        try {
            long size = channel.size();
            if (size < Long.BYTES) {
                throw new InputException(file + ": has " + size + " bytes, expected memory from physical address 0");
            }
            RawImage image = new RawImage(file, channel, size);
            if ((int) image.read(0, true) == ELF) {
                throw new InputException(file + ": is an ELF file, expected memory from physical address 0 as it is"
                        + " (QEMU: pmemsave 0 SIZE FILE)");
            }
            return image;
        } catch (IOException | RuntimeException failure) {
            channel.close();
            throw failure;
        }
    }

    /** Leaves holes where there are zeros, so that a sparse image stays one. */
    private static FileChannel decompressed(Path file, long unpackLimit) throws IOException {
        FileChannel channel = Zstandard.temporaryFile();
        try (InputStream in = Zstandard.open(file, unpackLimit)) {
            byte[] chunk = new byte[CHUNK];
            long position = 0;
            int length = in.readNBytes(chunk, 0, CHUNK);
            while (length != 0) {
                boolean last = length < CHUNK;
                if (last || !isZero(chunk)) {
                    ByteBuffer bytes = ByteBuffer.wrap(chunk, 0, length);
                    while (bytes.hasRemaining()) {
                        channel.write(bytes, position + bytes.position());
                    }
                }
                position += length;
                length = last ? 0 : in.readNBytes(chunk, 0, CHUNK);
            }
            if (position > channel.size()) {
                channel.write(ByteBuffer.wrap(new byte[1]), position - 1);
            }
            return channel;
        } catch (IOException | RuntimeException failure) {
            channel.close();
            throw failure;
        }
    }

    private static boolean isZero(byte[] chunk) {
        for (byte b : chunk) {
            if (b != 0) {
                return false;
            }
        }
        return true;
    }

    @Override
    public boolean isMemory(long physicalAddress) {
        return physicalAddress >= 0 && physicalAddress <= size - Long.BYTES;
    }

    @Override
    long position(long pageNumber) {
        return pageNumber << PAGE_SHIFT;
    }
}
