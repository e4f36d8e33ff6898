// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.Objects;

/**
 * Why an answer is as it is, in one sentence that names where it comes from.
 *
 * @param text the sentence, without a full stop
 * @param source the function, file or manual's section that says so
 */
public record Reason(String text, String source) {
    /** Refuses what is missing. */
    public Reason {
        Objects.requireNonNull(text, "text");
        Objects.requireNonNull(source, "source");
    }

    @Override
    public String toString() {
        return text + " [" + source + "]";
    }
}
