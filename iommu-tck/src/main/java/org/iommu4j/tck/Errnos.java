// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.util.Collections;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;

/** Assertions about refusals, and the errnos that several of them have. */
public final class Errnos {
    /** What a call is refused with when an invalidation did not complete: ETIMEDOUT at first, EIO from then on. */
    public static final Set<Errno> NOT_COMPLETED = Collections.unmodifiableSet(EnumSet.of(Errno.ETIMEDOUT, Errno.EIO));

    private Errnos() {}

    /** Asserts that a call is refused with one of some errnos, and that the message says something. */
    public static void assertRefused(Set<Errno> expected, ThrowingCallable call) {
        assertThat(isDone(expected, call))
                .as("the call returns, and is not refused with %s", expected)
                .isFalse();
    }

    /** Asserts that a call is refused with an errno, and that the message says something. */
    public static void assertRefused(Errno expected, ThrowingCallable call) {
        assertRefused(EnumSet.of(expected), call);
    }

    /**
     * Returns whether a call returns; asserts that it is refused with one of some errnos otherwise, and that the
     * message says something.
     */
    public static boolean isDone(Set<Errno> refusals, ThrowingCallable call) {
        Throwable thrown = catchThrowable(call);
        if (thrown == null) {
            return true;
        }
        assertThat(thrown).as("a refusal with %s", refusals).isInstanceOf(IommuException.class);
        assertThat(((IommuException) thrown).errno()).as(thrown.getMessage()).isIn(refusals);
        assertThat(thrown.getMessage()).as("the message of a refusal").isNotBlank();
        return false;
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
