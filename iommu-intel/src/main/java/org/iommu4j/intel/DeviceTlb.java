// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.platform.ConfigSpace;

/**
 * A device's translation cache (Device-TLB) and the capability that turns it on: ATS, PCIe 10.5.1.
 *
 * <p>A function without the capability has none, and one that may not use it neither. Changed under the device's
 * monitor, read without.
 */
final class DeviceTlb {
    private static final int CAPABILITY = 4;
    private static final int CONTROL = 6;
    private static final int QUEUE_DEPTH_MASK = 0x1f;
    private static final int ENABLE = 0x8000;

    private final ConfigSpace config;
    private final int requesterId;

    /** Offset of the capability, 0 when the cache is not to be used. */
    private final int ats;

    private final int queueDepth;
    private volatile boolean inUse;

    /**
     * Looks for the capability.
     *
     * @param requesterId what invalidations of the cache are sent to
     * @param mayBeUsed whether firmware, topology and the unit let the device have a translation cache
     */
    DeviceTlb(ConfigSpace config, int requesterId, boolean mayBeUsed) {
        this.config = config;
        this.requesterId = requesterId;
        this.ats = mayBeUsed ? config.findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ATS) : 0;
        this.queueDepth = ats == 0 ? 0 : config.read(ats + CAPABILITY, 2) & QUEUE_DEPTH_MASK;
    }

    /** Returns whether the device may have a translation cache, and has one. */
    boolean isSupported() {
        return ats != 0;
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
        if (ats == 0 || on == inUse) {
            return;
        }
        // STU 0: the smallest translation is a page of 4 KiB.
        if (on) {
            inUse = true;
        }
        config.write(ats + CONTROL, 2, on ? ENABLE : 0);
        inUse = on;
    }
}
