// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import java.util.Objects;

/**
 * A refusal that carries the Linux errno.
 *
 * <p>Every method that refuses lists its errnos. Unless a method says otherwise, the state is as it was before the
 * call. Architectural faults of a device's DMA are not exceptions; they are recorded in the unit's fault log.
 */
public final class IommuException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final Errno errno;

    /**
     * Makes a refusal.
     *
     * @param errno what Linux would return
     * @param message one line that says what was refused, where, and what was expected
     */
    public IommuException(Errno errno, String message) {
        super(text(errno, message));
        this.errno = errno;
    }

    /** Makes a refusal with an underlying cause. */
    public IommuException(Errno errno, String message, Throwable cause) {
        super(text(errno, message), Objects.requireNonNull(cause, "cause"));
        this.errno = errno;
    }

    private static String text(Errno errno, String message) {
        return Objects.requireNonNull(errno, "errno") + ": " + Objects.requireNonNull(message, "message");
    }

    /** Returns what Linux would return. */
    public Errno errno() {
        return errno;
    }
}
