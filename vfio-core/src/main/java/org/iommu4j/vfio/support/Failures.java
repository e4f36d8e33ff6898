// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.support;

import org.jspecify.annotations.Nullable;

/** Failures of work that is done to its end all the same. */
public final class Failures {
    private Failures() {}

    /** Adds a failure to an earlier one, and returns the one to throw. */
    public static RuntimeException joined(@Nullable RuntimeException earlier, RuntimeException failure) {
        if (earlier == null) {
            return failure;
        }
        if (earlier != failure) {
            earlier.addSuppressed(failure);
        }
        return earlier;
    }

    /** Runs a step and joins its failure to an earlier one. */
    public static @Nullable RuntimeException run(@Nullable RuntimeException earlier, Runnable step) {
        try {
            step.run();
            return earlier;
        } catch (RuntimeException failure) {
            return joined(earlier, failure);
        }
    }
}
