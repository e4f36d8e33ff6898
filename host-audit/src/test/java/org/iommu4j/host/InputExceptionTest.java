// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.EOFException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import org.junit.jupiter.api.Test;

/** The reason of a refusal, where Java's own message says less than the class of the failure. */
class InputExceptionTest {
    private static String refused(IOException cause) {
        InputException refusal = InputException.of("/c", "can't be read", cause);
        assertThat(refusal).hasCause(cause);
        return refusal.getMessage();
    }

    @Test
    void aFileThatIsAbsentOrForbiddenIsRefusedWithTheReason() {
        assertThat(refused(new NoSuchFileException("/c"))).isEqualTo("/c: can't be read (no such file or directory)");
        assertThat(refused(new AccessDeniedException("/c"))).isEqualTo("/c: can't be read (permission denied)");
    }

    @Test
    void aFileBelowThePlaceIsNamed() {
        assertThat(refused(new AccessDeniedException("/c/DMAR")))
                .isEqualTo("/c: can't be read (/c/DMAR: permission denied)");
        assertThat(refused(new FileSystemException("/c/DMAR", null, "Input/output error")))
                .isEqualTo("/c: can't be read (/c/DMAR: Input/output error)");
    }

    @Test
    void aReasonIsOneLineAndNeverNull() {
        assertThat(refused(new IOException("Is a directory\nand more")))
                .isEqualTo("/c: can't be read (Is a directory)");
        assertThat(refused(new EOFException())).isEqualTo("/c: can't be read (EOFException)");
        assertThat(refused(new FileSystemException("/c"))).isEqualTo("/c: can't be read (FileSystemException)");
    }
}
