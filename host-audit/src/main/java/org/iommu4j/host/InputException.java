// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.util.Objects;

/** Input that can't be used; the message is one line: the place, the problem and what was expected. */
public class InputException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** Makes a refusal. */
    public InputException(String message) {
        super(Objects.requireNonNull(message, "message"));
    }

    /** Makes a refusal with what caused it. */
    public InputException(String message, Throwable cause) {
        super(Objects.requireNonNull(message, "message"), Objects.requireNonNull(cause, "cause"));
    }

    /**
     * Returns the reason in one line; for a file that is absent or not for this user, Java's own message is its name.
     */
    static String reason(IOException failure) {
        String message = failure.getMessage();
        if (message == null) {
            return failure.toString();
        }
        String line = message.lines().findFirst().orElse("");
        if (failure instanceof NoSuchFileException) {
            return line + ": no such file or directory";
        }
        return failure instanceof AccessDeniedException ? line + ": permission denied" : line;
    }
}
