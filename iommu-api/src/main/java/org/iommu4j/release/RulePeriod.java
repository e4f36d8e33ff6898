// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.release;

import java.util.List;
import java.util.Objects;
import org.iommu4j.LinuxRelease;

/**
 * From which release on a rule has a value.
 *
 * <p>A period that begins with a release ({@code 6.13}) lasts until the next one of the rule. One that begins with a
 * patch level ({@code 6.12.95}) is a back-port: it holds in the rest of that stable series, and nowhere else.
 *
 * @param from the first release that has the value
 * @param value the value
 * @param evidence how this is known
 * @param commits the commits that brought it, abbreviated; empty when none is known
 * @param <V> the type of the rule's values
 */
public record RulePeriod<V>(LinuxRelease from, V value, Evidence evidence, List<String> commits) {
    /** Copies the list. */
    public RulePeriod {
        Objects.requireNonNull(from, "from");
        Objects.requireNonNull(value, "value");
        Objects.requireNonNull(evidence, "evidence");
        commits = List.copyOf(commits);
    }

    /** Returns whether a release is at or behind the beginning; a later period may have ended this one. */
    boolean reaches(LinuxRelease release) {
        return from.patch() == 0
                ? from.compareTo(release) <= 0
                : from.base().equals(release.base()) && from.patch() <= release.patch();
    }
}
