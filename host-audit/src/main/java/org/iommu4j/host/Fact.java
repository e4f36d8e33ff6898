// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.Objects;

/**
 * Something that an input says about a host.
 *
 * @param value what it says
 * @param source which input says it, for people: {@code sysfs}, {@code dmesg.txt}
 */
public record Fact<T>(T value, String source) {
    /** Refuses what is missing. */
    public Fact {
        Objects.requireNonNull(value, "value");
        Objects.requireNonNull(source, "source");
    }
}
