// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.output;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.iommu4j.host.InputException;

/** A file that a user names as the place for a command's answer. */
public final class TextFile {
    private TextFile() {}

    /**
     * Writes text to a file in UTF-8, and replaces what it had.
     *
     * @throws InputException the file can't be written; one line says why
     */
    public static void write(Path file, String text) {
        try {
            Files.writeString(file, text);
        } catch (IOException e) {
            throw new InputException(file + ": can't be written (" + why(e) + ")", e);
        }
    }

    /** Java's own message is the file's name, where the system's reason is one of the common ones. */
    private static String why(IOException failure) {
        if (failure instanceof NoSuchFileException) {
            return "no such directory";
        }
        if (failure instanceof AccessDeniedException) {
            return "permission denied";
        }
        String reason = failure instanceof FileSystemException named ? named.getReason() : failure.getMessage();
        return reason == null ? failure.getClass().getSimpleName() : reason;
    }
}
