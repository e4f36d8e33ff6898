// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.Objects;

/**
 * A line of an audit for people.
 *
 * @param label its subject, one or two words
 * @param text the statement
 */
public record Line(String label, String text) {
    /** Refuses what is missing. */
    public Line {
        Objects.requireNonNull(label, "label");
        Objects.requireNonNull(text, "text");
    }
}
