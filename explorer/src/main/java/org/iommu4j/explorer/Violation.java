// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.ArrayList;
import java.util.List;

/**
 * A state in which a property does not hold, and a shortest path to it from the initial state.
 *
 * <p>If several states at that distance violate properties, it is the one with the most important property, and of
 * these the one with the smallest fingerprint; so it does not depend on the number of workers. Several paths can be
 * shortest, and with several workers it can be any of them.
 *
 * @param property the name of the property, or {@link Property#STUCK}
 * @param path the steps, the first to be performed first
 */
public record Violation(String property, List<Step> path) {
    /** Copies the path. */
    public Violation {
        path = List.copyOf(path);
        if (property.isEmpty()) {
            throw new IllegalArgumentException("a violation of nothing");
        }
    }

    /**
     * Performs a path, and describes its steps.
     *
     * @param system is moved along the path, twice
     * @param path ordinals of actions, the first to be performed first
     * @param property the index of a property of the system; their number for a state that is stuck
     * @throws IllegalStateException if the path can't be performed, or ends where the property holds: then the system
     *     breaks a promise
     */
    public static Violation retraced(TransitionSystem system, int[] path, int property) {
        List<Step> steps = new ArrayList<>();
        system.replay(path);
        List<Property> properties = system.properties();
        boolean stuck = property == properties.size();
        boolean violates = stuck
                ? system.enabled(new int[system.actions()]) == 0 && !system.mayRest()
                : !properties.get(property).holds();
        system.reset();
        for (int action : path) {
            steps.add(new Step(action, system.describe(action)));
            system.apply(action);
        }
        if (!violates) {
            throw new IllegalStateException("the system is no function of its actions: elsewhere led " + steps);
        }
        return new Violation(stuck ? Property.STUCK : properties.get(property).name(), steps);
    }

    /** Returns the ordinals of the steps, as {@link TransitionSystem#replay} takes them. */
    public int[] actions() {
        return path.stream().mapToInt(Step::action).toArray();
    }
}
