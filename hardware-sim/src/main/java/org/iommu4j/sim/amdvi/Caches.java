// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.StateDigest;

/**
 * All caches of a unit. Guest translations have separate caches, so that those of hosts stay fast.
 */
final class Caches {
    private static final int PAGE_SLOTS = 256;
    private static final int DIRECTORY_SLOTS = 64;

    final Epoch epoch = new Epoch();
    final DeviceTableCache devices = new DeviceTableCache(epoch);
    /** The IOTLB, and the cache of the lowest tables' addresses. */
    final WalkCache pages = new WalkCache(PAGE_SLOTS, epoch);

    final WalkCache directories = new WalkCache(DIRECTORY_SLOTS, epoch);
    /** Likewise for guests' addresses, by domain id and PASID. */
    final WalkCache guestPages = new WalkCache(PAGE_SLOTS, epoch);

    final WalkCache guestDirectories = new WalkCache(DIRECTORY_SLOTS, epoch);

    void invalidateAll() {
        devices.invalidateAll();
        directories.invalidateAll();
        pages.invalidateAll();
        guestDirectories.invalidateAll();
        guestPages.invalidateAll();
    }

    /** Empties all caches while no thread translates. */
    void reset() {
        devices.reset();
        directories.reset();
        pages.reset();
        guestDirectories.reset();
        guestPages.reset();
    }

    void addTo(StateDigest digest) {
        devices.addTo(digest);
        pages.addTo(digest);
        directories.addTo(digest);
        guestPages.addTo(digest);
        guestDirectories.addTo(digest);
    }
}
