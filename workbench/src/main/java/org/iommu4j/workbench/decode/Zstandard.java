// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import com.github.luben.zstd.ZstdInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.iommu4j.workbench.host.InputException;

/** What is compressed by zstd; the only place that knows the library, which is loaded when a file needs it. */
final class Zstandard {
    private Zstandard() {}

    /**
     * Opens a compressed file; reading it fails when it is cut short or is not what it says.
     *
     * @throws InputException when the library has no code for this platform
     */
    static InputStream open(Path file) throws IOException {
        InputStream in = Files.newInputStream(file);
        try {
            return new ZstdInputStream(in);
        } catch (LinkageError e) {
            in.close();
            throw new InputException(
                    file + ": zstd is not available on this platform, expected the file decompressed (zstd -d)", e);
        } catch (IOException | RuntimeException failure) {
            in.close();
            throw failure;
        }
    }

    /** Makes a file for what was decompressed, which is gone when it is closed. */
    static FileChannel temporaryFile() throws IOException {
        return FileChannel.open(
                Files.createTempFile("iommu4j-", ".memory"),
                StandardOpenOption.READ,
                StandardOpenOption.WRITE,
                StandardOpenOption.SPARSE,
                StandardOpenOption.DELETE_ON_CLOSE);
    }
}
