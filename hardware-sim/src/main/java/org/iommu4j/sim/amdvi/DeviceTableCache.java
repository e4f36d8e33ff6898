// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import org.iommu4j.sim.spi.StateDigest;

/**
 * Device table entries that the unit has read and accepted, by requester id: stale until software invalidates them.
 *
 * <p>Only the two words about memory requests are kept. One bit of the second, reserved in an entry, remembers that a
 * page fault was logged, for the entry's SE bit.
 */
final class DeviceTableCache {
    static final long FAULT_LOGGED = 1L << 63;

    private static final int SLOTS = 64;

    private final TranslationCache cache = new TranslationCache(SLOTS);

    /** Returns the slot in which an entry would be. */
    int slot(int requesterId) {
        return cache.slot(requesterId ^ (requesterId >>> 8));
    }

    /** Begins reading a slot. */
    long sequence(int slot) {
        return cache.sequence(slot);
    }

    long word0(int slot) {
        return cache.first(slot);
    }

    long word1(int slot) {
        return cache.second(slot);
    }

    /** Returns whether what was read since {@link #sequence} is the requester's entry. */
    boolean holds(int slot, int requesterId, long sequence) {
        return cache.key(slot) == key(requesterId) && cache.unchanged(slot, sequence);
    }

    /** Returns what {@link #put} needs, to be taken before the entry is read. */
    long epoch() {
        return cache.epoch();
    }

    void put(int requesterId, long word0, long word1, long sinceEpoch) {
        cache.put(slot(requesterId), key(requesterId), word0, word1, sinceEpoch);
    }

    /** Marks the entry, if it is still there, and returns whether it was marked before. */
    boolean markFaultLogged(int requesterId) {
        int slot = slot(requesterId);
        cache.lock(slot);
        boolean marked = false;
        if (cache.key(slot) == key(requesterId)) {
            marked = (cache.second(slot) & FAULT_LOGGED) != 0;
            cache.setSecond(slot, cache.second(slot) | FAULT_LOGGED);
        }
        cache.unlock(slot);
        return marked;
    }

    /** Forgets a requester's entry. */
    void invalidate(int requesterId) {
        cache.beginInvalidation();
        int slot = slot(requesterId);
        if (cache.settledKey(slot) == key(requesterId)) {
            cache.lock(slot);
            if (cache.key(slot) == key(requesterId)) {
                cache.empty(slot);
            }
            cache.unlock(slot);
        }
    }

    /** Forgets all entries. */
    void invalidateAll() {
        cache.clear();
    }

    /** Forgets everything while no thread translates. */
    void reset() {
        cache.reset();
    }

    void addTo(StateDigest digest) {
        cache.addTo(digest);
    }

    private static long key(int requesterId) {
        return (long) requesterId << 1 | 1;
    }
}
