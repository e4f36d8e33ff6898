// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.util.Random;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.extension.ExtendWith;

/** Tests of one port of a platform; a platform's author extends one of the classes that extend this. */
@DisplayNameGeneration(PromiseNames.class)
@ExtendWith(PortExtension.class)
@SuppressWarnings("exports") // the extension is the kit's own
public abstract class PortConformance {
    private final Seed seed = new Seed();

    PortConformance() {}

    /** Returns how often threads do what they do against each other; fewer where an access is slow. */
    protected int rounds() {
        return 20_000;
    }

    /** Returns random numbers; their seed is printed when the test fails, and {@code -Diommu4j.seed} sets it. */
    final Random random() {
        return seed.random();
    }

    /** Returns where the test's random numbers come from. */
    final Seed seed() {
        return seed;
    }
}
