// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.Objects;
import java.util.function.BooleanSupplier;

/** The engine of this process and its threads. */
public final class LocalEngine implements ExplorationEngine {
    /** For {@link java.util.ServiceLoader}. */
    public LocalEngine() {}

    @Override
    public String name() {
        return "local";
    }

    @Override
    public Report explore(World world, Settings settings, Bounds bounds, BooleanSupplier stop) {
        Objects.requireNonNull(settings);
        Objects.requireNonNull(bounds);
        Objects.requireNonNull(stop);
        WorldFactory factory = world.newFactory();
        byte[] input = world.input();
        try (Exploration exploration = new Exploration(() -> factory.open(input), settings)) {
            return exploration.run(bounds, stop);
        }
    }
}
