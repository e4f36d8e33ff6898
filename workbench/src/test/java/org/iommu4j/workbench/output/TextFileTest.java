// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.output;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.iommu4j.host.InputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TextFileTest {
    @TempDir
    private Path folder;

    private void assertRefused(Path file, String reason) {
        String message = file + ": can't be written (" + reason + ")";
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> TextFile.requireWritable(file))
                .withMessage(message);
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> TextFile.write(file, "new"))
                .withMessageStartingWith(file + ": can't be written (");
    }

    @Test
    void aNewFileIsAloneInItsFolder() {
        Path file = folder.resolve("new");
        TextFile.requireWritable(file);
        assertThat(file).doesNotExist();
        TextFile.write(file, "caf\u00e9\n");
        assertThat(file).hasContent("caf\u00e9");
        assertThat(folder).isDirectoryNotContaining(path -> !path.equals(file));
    }

    @Test
    void aFileIsReplacedWithThePermissionsThatItHad() throws IOException {
        Path file = Files.writeString(folder.resolve("old"), "a longer text");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r-----"));
        TextFile.requireWritable(file);
        TextFile.write(file, "new");
        assertThat(file).hasContent("new");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                .isEqualTo("rw-r-----");
    }

    @Test
    void aLinkStaysOneAndItsFileIsReplaced() throws IOException {
        Path file = Files.writeString(folder.resolve("old"), "old");
        Path link = Files.createSymbolicLink(folder.resolve("link"), file);
        Path dangling = Files.createSymbolicLink(folder.resolve("dangling"), folder.resolve("made"));
        TextFile.write(link, "new");
        TextFile.write(dangling, "made");
        assertThat(link).isSymbolicLink();
        assertThat(file).hasContent("new");
        assertThat(dangling).isSymbolicLink();
        assertThat(folder.resolve("made")).hasContent("made");
    }

    @Test
    void whatIsNoFileIsRefusedBeforeTheWorkAndAfterIt() throws IOException {
        assertRefused(folder, "Is a directory");
        assertRefused(folder.resolve("none/file"), "no such file or directory");
        Path file = Files.writeString(folder.resolve("old"), "old");
        assertRefused(file.resolve("x"), "not a directory");
        assertThat(file).hasContent("old");
    }
}
