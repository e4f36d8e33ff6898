// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import java.util.concurrent.atomic.AtomicLong;

/**
 * Counts the invalidations of a unit's caches, so that a walk can tell whether one began while it read the tables.
 *
 * <p>Hardware completes an invalidation only when no walk is left that might have used what was invalidated (VT-d 6.5.4).
 * Here a walk that was overtaken starts anew, and nothing that it read is cached.
 */
final class Epoch {
    private final AtomicLong count = new AtomicLong();

    /** Returns the current epoch; also orders what was read before against an invalidation that began since. */
    long current() {
        return count.get();
    }

    /** Begins a new epoch, before any cache is looked at. */
    void advance() {
        count.getAndIncrement();
    }
}
