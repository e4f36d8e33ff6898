// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.Objects;

/**
 * A step on the way from a device to its guest's caches.
 *
 * @param what what is asked
 * @param answer what comes out
 * @param source who decides it
 */
public record Step(String what, String answer, String source) {
    /** Refuses what is missing. */
    public Step {
        Objects.requireNonNull(what, "what");
        Objects.requireNonNull(answer, "answer");
        Objects.requireNonNull(source, "source");
    }
}
