// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.output;

import java.io.IOException;
import java.nio.file.Files;
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
            throw InputException.of(file.toString(), "can't be written", e);
        }
    }
}
