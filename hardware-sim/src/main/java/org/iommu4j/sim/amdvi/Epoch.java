// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/** How many invalidations have begun: one count for all caches of a unit, since a walk fills several. */
final class Epoch {
    private static final VarHandle COUNT;

    static {
        try {
            COUNT = MethodHandles.lookup().findVarHandle(Epoch.class, "count", long.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    @SuppressWarnings("UnusedVariable") // through COUNT
    private volatile long count;

    /** Returns the count, to be taken before anything is read that a cache will hold. */
    long current() {
        return (long) COUNT.getVolatile(this);
    }

    /** Begins an invalidation: what was read from memory before now can't be put in any cache any more. */
    void advance() {
        COUNT.getAndAdd(this, 1L);
    }
}
