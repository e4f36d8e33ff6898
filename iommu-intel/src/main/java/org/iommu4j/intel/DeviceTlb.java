// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.pci.AtsCapability;
import org.iommu4j.pci.ConfigSpace;
import org.jspecify.annotations.Nullable;

/**
 * A device's translation cache (Device-TLB) and the capability that turns it on (ATS).
 *
 * <p>A function has none when it lacks the capability or may not use it. Changed under the device's monitor, read
 * without it.
 */
final class DeviceTlb {
    private final int requesterId;

    /** Null when the cache must not be used. */
    private final @Nullable AtsCapability ats;

    private final int queueDepth;
    private volatile boolean inUse;

    /**
     * Looks for the capability.
     *
     * @param requesterId the destination of invalidations of the cache
     * @param mayBeUsed whether firmware, topology and the unit let the device have a translation cache
     */
    DeviceTlb(ConfigSpace config, int requesterId, boolean mayBeUsed) {
        this.requesterId = requesterId;
        this.ats = mayBeUsed ? AtsCapability.of(config).orElse(null) : null;
        this.queueDepth = ats == null ? 0 : ats.invalidateQueueDepth();
    }

    /** Returns whether the device may have a translation cache, and has one. */
    boolean isSupported() {
        return ats != null;
    }

    int requesterId() {
        return requesterId;
    }

    /** Returns how many invalidations the device queues, 0 for 32. */
    int queueDepth() {
        return queueDepth;
    }

    /** Returns whether the device may have cached translations. */
    boolean isInUse() {
        return inUse;
    }

    /** Turns the cache on or off, where there is one. */
    void use(boolean on) {
        if (ats == null || on == inUse) {
            return;
        }
        if (on) {
            inUse = true;
            ats.enable();
        } else {
            ats.disable();
            inUse = false;
        }
    }
}
