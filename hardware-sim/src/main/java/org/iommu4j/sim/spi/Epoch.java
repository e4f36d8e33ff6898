// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * Counts the invalidations of a unit's caches, so that a walk notices one that began while it read the tables.
 *
 * <p>Hardware completes an invalidation only when no walk is left that might have used what was invalidated (VT-d
 * 6.5.4). Here a walk takes the epoch first, and nothing that it read is cached once the epoch is over. A unit has one
 * for all its caches, since a walk fills several. Any thread may use it.
 */
public final class Epoch {
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

    /** Makes the first epoch. */
    public Epoch() {}

    /** Returns the current epoch; also orders what was read before against an invalidation that began since. */
    public long current() {
        return (long) COUNT.getVolatile(this);
    }

    /** Begins a new epoch, before any cache is looked at: what was read from memory before now is cached no more. */
    public void advance() {
        COUNT.getAndAdd(this, 1L);
    }
}
