// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.output;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFileAttributeView;
import java.util.Objects;
import java.util.UUID;
import org.iommu4j.host.InputException;

/** A file that a user names as the place for a command's answer. */
public final class TextFile {
    private TextFile() {}

    /**
     * Checks that a file can be written, before the work whose answer it is to have.
     *
     * @throws InputException when it can't; one line says why
     */
    public static void requireWritable(Path file) {
        if (Files.isDirectory(file)) {
            throw refused(file, "Is a directory");
        }
        Path checked = Files.exists(file) ? file : folder(file.toAbsolutePath());
        if (!Files.exists(checked)) {
            throw refused(file, "no such file or directory");
        }
        if (!checked.equals(file) && !Files.isDirectory(checked)) {
            throw refused(file, "not a directory");
        }
        if (!Files.isWritable(checked)) {
            throw refused(file, "permission denied");
        }
    }

    /**
     * Writes text to a file in UTF-8, and replaces what it had. A failure leaves a regular file as it was, unless its
     * directory takes no other file.
     *
     * @throws InputException the file can't be written; one line says why
     */
    public static void write(Path file, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        try {
            if (Files.isRegularFile(file)) {
                replace(file.toRealPath(), bytes);
            } else if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
                Files.write(file, bytes); // a device or a pipe takes what comes
            } else {
                replace(file.toAbsolutePath(), bytes);
            }
        } catch (IOException e) {
            throw new InputException(message(file, InputException.reason(e)), e);
        }
    }

    private static void replace(Path file, byte[] bytes) throws IOException {
        Path folder = folder(file);
        if (Files.exists(file) && !Files.isWritable(folder)) {
            Files.write(file, bytes);
            return;
        }
        Path part = folder.resolve(".iommu4j-" + UUID.randomUUID() + ".part");
        try {
            Files.write(part, bytes, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
            keepPermissions(file, part);
            Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(part);
        }
    }

    private static void keepPermissions(Path file, Path part) throws IOException {
        PosixFileAttributeView old = Files.getFileAttributeView(file, PosixFileAttributeView.class);
        if (old != null && Files.exists(file)) {
            Files.setPosixFilePermissions(part, old.readAttributes().permissions());
        }
    }

    private static Path folder(Path absolute) {
        return Objects.requireNonNullElse(absolute.getParent(), absolute);
    }

    private static InputException refused(Path file, String reason) {
        return new InputException(message(file, reason));
    }

    private static String message(Path file, String reason) {
        return file + ": can't be written (" + reason + ")";
    }
}
