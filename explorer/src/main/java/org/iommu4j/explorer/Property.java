// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.Objects;
import java.util.function.BooleanSupplier;

/**
 * A named predicate that every reachable state has to satisfy.
 *
 * <p>It looks at the live state of the system that answers it ({@link TransitionSystem#properties}), changes nothing
 * and allocates nothing: it is asked once for each state found.
 *
 * @param name the name by which a report and a command speak of it, unique in its system
 * @param predicate answers whether the property holds in the system's present state
 */
public record Property(String name, BooleanSupplier predicate) {
    /** The name that a report gives to a state without enabled actions that is no end. */
    public static final String STUCK = "stuck";

    /** Refuses nulls, an empty name, and the name {@value #STUCK}. */
    public Property {
        Objects.requireNonNull(predicate);
        if (name.isBlank() || name.equals(STUCK)) {
            throw new IllegalArgumentException("not a property's name: \"" + name + "\"");
        }
    }

    /** Returns whether the property holds in the system's present state. */
    public boolean holds() {
        return predicate.getAsBoolean();
    }
}
