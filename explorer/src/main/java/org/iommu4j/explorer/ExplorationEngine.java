// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.ServiceLoader;
import java.util.function.BooleanSupplier;

/**
 * Explores a world: in this process ({@link LocalEngine}), or on other machines. Found by {@link ServiceLoader}.
 *
 * <p>Every engine finds the same states and transitions, and the same length of the shortest violation.
 */
public interface ExplorationEngine {
    /** Returns the name by which a command chooses it, in lower case. */
    String name();

    /**
     * Explores until there is an answer, a bound, or a stop.
     *
     * @param world what to explore
     * @param settings how; an engine may ignore those that make no sense to it
     * @param bounds where to stop
     * @param stop asked now and then, from any worker's thread; if it answers true, what was covered is the answer
     */
    Report explore(World world, Settings settings, Bounds bounds, BooleanSupplier stop);

    /**
     * Returns the engine of that name.
     *
     * @param name as {@link #name} gives it
     * @param loader has the engines, beside this module's own
     * @throws IllegalArgumentException if there is none; its message names those that there are
     */
    static ExplorationEngine named(String name, ClassLoader loader) {
        Objects.requireNonNull(name);
        Objects.requireNonNull(loader);
        List<String> names = new ArrayList<>();
        for (ExplorationEngine engine : ServiceLoader.load(ExplorationEngine.class, loader)) {
            if (engine.name().equals(name)) {
                return engine;
            }
            names.add(engine.name());
        }
        throw new IllegalArgumentException("no engine \"" + name + "\"; there are " + names);
    }
}
