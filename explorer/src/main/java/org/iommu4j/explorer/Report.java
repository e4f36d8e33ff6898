// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.Objects;
import java.util.Optional;

/**
 * What an exploration answers.
 *
 * @param cover what was covered
 * @param violation the violation found, if any
 */
public record Report(Cover cover, Optional<Violation> violation) {
    /** Refuses nulls. */
    public Report {
        Objects.requireNonNull(cover);
        Objects.requireNonNull(violation);
    }
}
