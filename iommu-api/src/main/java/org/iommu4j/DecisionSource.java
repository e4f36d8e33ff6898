// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import java.util.List;
import java.util.Objects;

/**
 * Where Linux makes a decision, and which rules of releases have a part in it.
 *
 * @param module whose rules these are: a vendor's name, {@code vfio}, {@code iommufd} or {@code kvm}
 * @param function the function of Linux, or the operation that is missing
 * @param rules the names of the rules, the deciding one first; empty when every release that is built decides alike
 */
public record DecisionSource(String module, String function, List<String> rules) {
    /** Copies the list. */
    public DecisionSource {
        Objects.requireNonNull(module, "module");
        Objects.requireNonNull(function, "function");
        rules = List.copyOf(rules);
    }

    /** Makes the source of a decision in which the rules have a part. */
    public static DecisionSource of(String module, String function, String... rules) {
        return new DecisionSource(module, function, List.of(rules));
    }
}
