// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.zip.GZIPInputStream;

/** Tells by the first bytes of a file whether it is compressed, or an archive of files. */
final class Packing {
    private static final int TAR_MAGIC_AT = 257;
    private static final String TAR_MAGIC = "ustar";
    private static final int HEAD_BYTES = TAR_MAGIC_AT + TAR_MAGIC.length();
    private static final int BUFFER_BYTES = 1 << 16;

    private static final String GZIP_MAGIC = "\u001f\u008b";
    private static final String ZIP_MAGIC = "PK\u0003\u0004";

    /** The first bytes of files that other programs compress, one character a byte. */
    private static final Map<String, String> OTHERS = Map.of(
            "\u00fd7zXZ\0", "xz",
            "BZh", "bzip2",
            "(\u00b5/\u00fd", "zstd",
            "\u0004\"M\u0018", "lz4",
            "7z\u00bc\u00af'\u001c", "7-Zip",
            "Rar!\u001a\u0007", "RAR");

    private Packing() {}

    /** Returns the first bytes of a stream, which stays where it is. */
    static byte[] head(InputStream in) throws IOException {
        in.mark(HEAD_BYTES);
        byte[] head = in.readNBytes(HEAD_BYTES);
        in.reset();
        return head;
    }

    private static boolean begins(byte[] head, String magic) {
        return head.length >= magic.length()
                && new String(head, 0, magic.length(), StandardCharsets.ISO_8859_1).equals(magic);
    }

    static boolean isGzip(byte[] head) {
        return begins(head, GZIP_MAGIC);
    }

    static boolean isZip(byte[] head) {
        return begins(head, ZIP_MAGIC);
    }

    /** Returns whether bytes begin like an archive of files; a tar has its magic behind the first name. */
    static boolean isArchive(byte[] head) {
        return isZip(head)
                || (head.length >= HEAD_BYTES
                        && new String(head, TAR_MAGIC_AT, TAR_MAGIC.length(), StandardCharsets.ISO_8859_1)
                                .equals(TAR_MAGIC));
    }

    /**
     * Returns whether a file is an archive of files, compressed by gzip or not.
     *
     * @throws InputException when it can't be read, or is compressed by another program
     */
    static boolean isArchive(Path file) {
        try (InputStream in = unpacked(Files.newInputStream(file), file.toString())) {
            return isArchive(in.readNBytes(HEAD_BYTES));
        } catch (IOException e) {
            throw InputException.of(file.toString(), "can't be read", e);
        }
    }

    /**
     * Returns the contents without gzip's compression.
     *
     * @param file is closed with what is returned, and when this fails
     * @param source where it comes from, for messages
     * @throws UnknownInputException when it is compressed by another program
     */
    static InputStream unpacked(InputStream file, String source) throws IOException {
        InputStream in = new BufferedInputStream(file, BUFFER_BYTES);
        try {
            byte[] head = head(in);
            for (Map.Entry<String, String> other : OTHERS.entrySet()) {
                if (begins(head, other.getKey())) {
                    throw new UnknownInputException(
                            source + ": is compressed by " + other.getValue() + ": unpack it first");
                }
            }
            return isGzip(head) ? new BufferedInputStream(new GZIPInputStream(in), BUFFER_BYTES) : in;
        } catch (IOException | UnknownInputException e) {
            in.close();
            throw e;
        }
    }
}
