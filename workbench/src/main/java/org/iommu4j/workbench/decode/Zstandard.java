// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import com.github.luben.zstd.ZstdInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.iommu4j.host.InputException;
import org.iommu4j.host.PrivateFile;

/** Files compressed by zstd; the only class that uses the library, which is loaded when a file needs it. */
final class Zstandard {
    private Zstandard() {}

    /**
     * Opens a compressed file; reading fails when it is truncated or damaged.
     *
     * @param limit bytes that it may have when decompressed; reading more is refused
     * @throws InputException when the library has no code for this platform
     */
    static InputStream open(Path file, long limit) throws IOException {
        InputStream in = Files.newInputStream(file);
        try {
            return new Limited(new ZstdInputStream(in), file, limit);
        } catch (LinkageError e) {
            in.close();
            throw new InputException(
                    file + ": zstd is not available on this platform, expected the file decompressed (zstd -d)", e);
        } catch (IOException | RuntimeException failure) {
            in.close();
            throw failure;
        }
    }

    /**
     * Makes a file for what was decompressed. It has a name for an instant only: Linux keeps a file that is open, and
     * frees it with the process, however that ends.
     */
    static FileChannel temporaryFile() throws IOException {
        return PrivateFile.create(
                        Path.of(System.getProperty("java.io.tmpdir")),
                        "iommu4j-",
                        ".memory",
                        StandardOpenOption.READ,
                        StandardOpenOption.SPARSE,
                        StandardOpenOption.DELETE_ON_CLOSE)
                .channel();
    }

    /** A few kilobytes can decompress to more than a disk holds. */
    private static final class Limited extends FilterInputStream {
        private final Path file;
        private final long limit;
        private long left;

        Limited(InputStream in, Path file, long limit) {
            super(in);
            this.file = file;
            this.limit = limit;
            this.left = limit;
        }

        @Override
        public int read() throws IOException {
            int b = super.read();
            spend(b < 0 ? 0 : 1);
            return b;
        }

        @Override
        public int read(byte[] into, int offset, int length) throws IOException {
            int bytes = super.read(into, offset, length);
            spend(Math.max(0, bytes));
            return bytes;
        }

        private void spend(int bytes) {
            left -= bytes;
            if (left < 0) {
                throw new InputException(
                        file + ": has more than " + limit + " bytes when decompressed; --unpack-limit allows more");
            }
        }
    }
}
