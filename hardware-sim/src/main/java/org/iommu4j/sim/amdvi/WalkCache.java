// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import org.iommu4j.sim.spi.StateDigest;

/**
 * What walks found, by domain id and naturally aligned range of addresses: stale until software invalidates it.
 *
 * <p>One is the IOTLB, whose words are pages of any size. Another holds where the lowest tables are, 2 MiB of addresses
 * each: what the PDE bit of an invalidation is about. A word is an entry as {@link PageTableEntry} lays it out, with
 * the permissions of the whole walk and, in bits that an entry has for other things, log2 of the range. The device
 * table entry's permissions are not in it, for a domain id may serve many devices.
 */
final class WalkCache {
    private static final long SHIFT = 0x3f;
    private static final long FOUND = 1L << 63;

    private final TranslationCache cache;

    /** Bit n is set when there may be ranges of 2^n bytes; each costs a look-up one probe. */
    private volatile long sizes;

    /**
     * Makes an empty cache.
     *
     * @param slots a power of two
     */
    WalkCache(int slots) {
        cache = new TranslationCache(slots);
    }

    /** Makes a word of an entry's address, permissions and FC, for a range of 2^shift bytes; it is negative. */
    static long word(long entry, int shift) {
        return FOUND | entry | shift;
    }

    /** Returns the bytes of the range that a word is about, minus 1. */
    static long offsetMask(long word) {
        return (1L << (word & SHIFT)) - 1;
    }

    /** Returns a word, or 0 when there is none. */
    long lookup(int domainId, long address) {
        for (long rest = sizes; rest != 0; rest &= rest - 1) {
            int shift = Long.numberOfTrailingZeros(rest);
            int slot = slot(domainId, address, shift);
            long sequence = cache.sequence(slot);
            if (cache.key(slot) == key(address, shift)) {
                long word = cache.first(slot);
                if (cache.second(slot) == domainId && cache.unchanged(slot, sequence)) {
                    return word;
                }
            }
        }
        return 0;
    }

    /** Returns what {@link #put} needs, to be taken before the walk. */
    long epoch() {
        return cache.epoch();
    }

    /** Remembers a word. */
    void put(int domainId, long address, long word, long sinceEpoch) {
        int shift = (int) (word & SHIFT);
        if ((sizes & (1L << shift)) == 0) {
            addSize(1L << shift);
        }
        cache.put(slot(domainId, address, shift), key(address, shift), word, domainId, sinceEpoch);
    }

    private synchronized void addSize(long size) {
        sizes |= size;
    }

    /** Forgets a domain's words whose ranges overlap a range, its last byte included. */
    void invalidate(int domainId, long first, long last) {
        cache.beginInvalidation();
        if (cache.unused()) {
            return;
        }
        if (first >>> 12 == last >>> 12) {
            for (long rest = sizes; rest != 0; rest &= rest - 1) {
                invalidate(slot(domainId, first, Long.numberOfTrailingZeros(rest)), domainId, first, last);
            }
        } else {
            for (int slot = 0; slot < cache.slots(); slot++) {
                invalidate(slot, domainId, first, last);
            }
        }
    }

    private void invalidate(int slot, int domainId, long first, long last) {
        if (overlaps(cache.settledKey(slot), first, last) && cache.second(slot) == domainId) {
            cache.lock(slot);
            if (overlaps(cache.key(slot), first, last) && cache.second(slot) == domainId) {
                cache.empty(slot);
            }
            cache.unlock(slot);
        }
    }

    /** Forgets everything. */
    void invalidateAll() {
        cache.clear();
    }

    /** Forgets everything while no thread translates. */
    void reset() {
        cache.reset();
        sizes = 0;
    }

    void addTo(StateDigest digest) {
        cache.addTo(digest);
    }

    private int slot(int domainId, long address, int shift) {
        return cache.slot((address >>> shift) + domainId * 0x9dL);
    }

    /** The range's first address, whose low bits hold log2 of the size and a 1. */
    private static long key(long address, int shift) {
        return (address & -(1L << shift)) | ((long) shift << 1) | 1;
    }

    private static boolean overlaps(long key, long first, long last) {
        if (key == 0) {
            return false;
        }
        long from = key & -4096L;
        long to = from + ((1L << ((key >>> 1) & SHIFT)) - 1);
        return Long.compareUnsigned(from, last) <= 0 && Long.compareUnsigned(first, to) <= 0;
    }
}
