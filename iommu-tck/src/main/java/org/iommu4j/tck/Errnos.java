// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;

/** Assertions about refusals. */
public final class Errnos {
    private Errnos() {}

    /** Asserts that a call is refused with one of some errnos, and that the message says something. */
    public static void assertRefused(Set<Errno> expected, ThrowingCallable call) {
        Throwable thrown = catchThrowable(call);
        assertThat(thrown).as("a refusal with %s", expected).isInstanceOf(IommuException.class);
        assertThat(((IommuException) thrown).errno()).as(thrown.getMessage()).isIn(expected);
        assertThat(thrown.getMessage()).as("the message of a refusal").isNotBlank();
    }

    /** Asserts that a call is refused with an errno, and that the message says something. */
    public static void assertRefused(Errno expected, ThrowingCallable call) {
        assertRefused(EnumSet.of(expected), call);
    }

    /**
     * Returns the errno that a call is refused with, empty when it returns; anything else that it throws is a failure
     * of the test.
     */
    public static Optional<Errno> of(ThrowingCallable call) {
        Throwable thrown = catchThrowable(call);
        if (thrown == null) {
            return Optional.empty();
        }
        if (!(thrown instanceof IommuException refusal)) {
            throw new AssertionError("expected no exception but an IommuException", thrown);
        }
        assertThat(refusal.getMessage()).as("the message of a refusal").isNotBlank();
        return Optional.of(refusal.errno());
    }
}
