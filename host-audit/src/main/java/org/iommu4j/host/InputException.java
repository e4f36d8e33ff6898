// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
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
     * Makes a refusal of what can't be read or written, with the reason in one line. Where a file is absent or not for
     * this user, Java's own message is no more than a file's name. A name follows only if it is another one.
     *
     * @param place what can't be used: a file's name, maybe with a place in it
     * @param problem such as {@code can't be read}
     * @param cause has the reason
     */
    public static InputException of(String place, String problem, IOException cause) {
        Objects.requireNonNull(place, "place");
        Objects.requireNonNull(problem, "problem");
        Objects.requireNonNull(cause, "cause");
        return new InputException(place + ": " + problem + " (" + reason(place, cause) + ")", cause);
    }

    private static String reason(String place, IOException cause) {
        String reason = cause.getMessage();
        if (cause instanceof FileSystemException named) {
            String file = named.getFile();
            String why = why(named);
            reason = file == null || file.equals(place) ? why : file + ": " + why;
        }
        return reason == null ? cause.toString() : reason.lines().findFirst().orElse("");
    }

    private static String why(FileSystemException failure) {
        if (failure instanceof NoSuchFileException) {
            return "no such file or directory";
        }
        if (failure instanceof AccessDeniedException) {
            return "permission denied";
        }
        String reason = failure.getReason();
        return reason == null ? failure.getClass().getSimpleName() : reason;
    }
}
