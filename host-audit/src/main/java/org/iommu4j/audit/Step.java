// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.Objects;

/**
 * A step on the way from a device to its guest's caches.
 *
 * @param what the question
 * @param answer the answer
 * @param source the register, table or function of Linux that decides it
 */
public record Step(String what, String answer, String source) {
    /** Refuses what is missing. */
    public Step {
        Objects.requireNonNull(what, "what");
        Objects.requireNonNull(answer, "answer");
        Objects.requireNonNull(source, "source");
    }
}
