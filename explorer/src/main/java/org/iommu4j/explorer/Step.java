// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.Objects;

/**
 * An action on a path.
 *
 * @param action its ordinal
 * @param text what it does there, for people ({@link TransitionSystem#describe})
 */
public record Step(int action, String text) {
    /** Refuses a null. */
    public Step {
        Objects.requireNonNull(text);
    }
}
