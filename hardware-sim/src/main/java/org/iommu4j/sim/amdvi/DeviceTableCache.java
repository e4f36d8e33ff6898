// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.StateDigest;

/**
 * Device table entries that the unit has read and accepted, by requester id; they stay until software invalidates them.
 *
 * <p>Two words are kept. Reserved bits of the first hold the parts of the third and fourth that memory requests need. A
 * reserved bit of the second records that a page fault was logged, for the entry's SE bit.
 */
final class DeviceTableCache {
    /** Bit of the second word: bit 106, which is reserved. */
    private static final long FAULT_LOGGED = 1L << 42;
    /** Bits of the first word: guest tables have 5 levels; Mode 0 forces requests to be coherent. */
    private static final long FIVE_GUEST_LEVELS = 1L << 2;

    private static final long IDENTITY_FORCES_SNOOP = 1L << 3;
    /** Bit of the first word: the GCR3 table is at guest physical addresses. */
    private static final long GCR3_OF_GUEST = 1L << 4;

    private static final int SLOTS = 64;

    private final TranslationCache cache;

    DeviceTableCache(Epoch epoch) {
        cache = new TranslationCache(SLOTS, epoch);
    }

    /** Returns the slot of a requester's entry. */
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

    /** Returns whether the words read since {@link #sequence} are the requester's entry. */
    boolean holds(int slot, int requesterId, long sequence) {
        return cache.key(slot) == key(requesterId) && cache.unchanged(slot, sequence);
    }

    /**
     * Returns the first word in its cached form.
     *
     * @param gcr3OfGuests GCR3TRPMode of the control register
     */
    static long kept(long word0, long word2, long word3, boolean gcr3OfGuests) {
        return word0
                | (AmdViDeviceTableEntry.GUEST_PAGING_MODE.isSet(word2) ? FIVE_GUEST_LEVELS : 0)
                | (AmdViDeviceTableEntry.MODE_0_FC.isSet(word3) ? IDENTITY_FORCES_SNOOP : 0)
                | (gcr3OfGuests && AmdViDeviceTableEntry.MODE.get(word0) != 0 ? GCR3_OF_GUEST : 0);
    }

    /** Returns whether the GCR3 table of a cached first word is at guest physical addresses. */
    static boolean gcr3OfGuest(long kept) {
        return (kept & GCR3_OF_GUEST) != 0;
    }

    /** Returns the levels of guest tables of a cached first word. */
    static int guestLevels(long kept) {
        return (kept & FIVE_GUEST_LEVELS) != 0 ? 5 : 4;
    }

    /** Returns whether requests that a first word passes untranslated are forced to be coherent. */
    static boolean identityForcesSnoop(long kept) {
        return (kept & IDENTITY_FORCES_SNOOP) != 0;
    }

    /** Caches an entry that was read since the epoch. */
    void put(int requesterId, long word0, long word1, long sinceEpoch) {
        cache.put(slot(requesterId), key(requesterId), word0, word1 & ~FAULT_LOGGED, sinceEpoch);
    }

    /** Marks the entry, if it is still cached, and returns whether it was already marked. */
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

    /** Drops a requester's entry. */
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

    /** Drops all entries. */
    void invalidateAll() {
        cache.clear();
    }

    /** Drops all entries while no thread translates. */
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
