// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
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
        return new InputException(place + ": " + problem + " (" + withFile(place, cause) + ")", cause);
    }

    /** Returns the reason of a failure in one line, without the name of a file. */
    public static String reason(IOException failure) {
        if (failure instanceof NoSuchFileException) {
            return "no such file or directory";
        }
        if (failure instanceof AccessDeniedException) {
            return "permission denied";
        }
        if (failure instanceof NotDirectoryException) {
            return "not a directory";
        }
        String reason = failure instanceof FileSystemException named ? named.getReason() : failure.getMessage();
        return reason == null
                ? failure.getClass().getSimpleName()
                : reason.lines().findFirst().orElse("");
    }

    private static String withFile(String place, IOException cause) {
        String file = cause instanceof FileSystemException named ? named.getFile() : null;
        return file == null || file.equals(place) ? reason(cause) : file + ": " + reason(cause);
    }
}
