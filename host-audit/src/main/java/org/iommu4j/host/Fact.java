// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.Objects;

/**
 * A fact that an input states about a host.
 *
 * @param value the value
 * @param source the input that states it, for people: {@code sysfs}, {@code dmesg.txt}
 */
public record Fact<T>(T value, String source) {
    /** Refuses what is missing. */
    public Fact {
        Objects.requireNonNull(value, "value");
        Objects.requireNonNull(source, "source");
    }
}
