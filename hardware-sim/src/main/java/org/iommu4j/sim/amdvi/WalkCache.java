// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.StateDigest;

/**
 * Results of walks, by tag and naturally aligned range of addresses; they stay until software invalidates them.
 *
 * <p>One instance is the IOTLB, whose words are pages of any size. Another holds the addresses of the lowest tables, 2
 * MiB of addresses each; the PDE bit of an invalidation covers these. A word is an entry in the layout of {@link
 * PageTableEntry}, with the permissions of the whole walk. Unneeded bits hold log2 of the range and the flags below.
 * The device table entry's permissions are not included, since a domain id may serve many devices. A tag identifies the
 * owner of the address.
 */
final class WalkCache {
    private static final long SHIFT = 0x3f;
    private static final long FOUND = 1L << 63;

    /** Flag of a word without IW: the walk allows writing, but the dirty bit is not set yet; a write walks again. */
    static final long CLEAN = 1L << 6;
    /** Flag of a word without rights: the entry was not present. */
    static final long NOT_PRESENT = 1L << 7;
    /** Flag of a guest's page: host tables translated its address too. */
    static final long NESTED = 1L << 8;

    private final TranslationCache cache;

    /** Bit n is set when ranges of 2^n bytes may exist; each costs a look-up one probe. */
    private volatile long sizes;

    /**
     * Makes an empty cache.
     *
     * @param slots a power of two
     * @param epoch advanced by invalidations of this cache and its neighbours
     */
    WalkCache(int slots, Epoch epoch) {
        cache = new TranslationCache(slots, epoch);
    }

    /** Makes a word of an entry's address, permissions and FC, for a range of 2^shift bytes; it is negative. */
    static long word(long entry, int shift) {
        return FOUND | entry | shift;
    }

    /** Returns the size of a word's range in bytes, minus 1. */
    private static long offsetMask(long word) {
        return (1L << (word & SHIFT)) - 1;
    }

    /** Returns whether a word, or 0, grants a request. */
    static boolean allows(long word, boolean write) {
        return (word & (write ? PageTableEntry.IW.mask() : PageTableEntry.IR.mask())) != 0;
    }

    /** Returns IR and IW of the entries, whether or not a write must walk again. */
    static long rights(long word) {
        return (word & (PageTableEntry.IR.mask() | PageTableEntry.IW.mask()))
                | ((word & CLEAN) != 0 ? PageTableEntry.IW.mask() : 0);
    }

    /**
     * Returns whether a word that does not grant a request refuses it: the word exists, and no write must walk again.
     */
    static boolean isDecided(long word, boolean write) {
        return word != 0 && !(write && (word & CLEAN) != 0);
    }

    /** Returns the {@link WalkResult} of a word that refuses a request. */
    static long refusal(long word) {
        return (word & NOT_PRESENT) != 0 ? WalkResult.NOT_PRESENT : WalkResult.REFUSED;
    }

    /** Returns the physical address of the byte at an address. */
    static long physical(long word, long address) {
        return PageTableEntry.ADDRESS.getInPlace(word) + (address & offsetMask(word));
    }

    /** Returns log2 of the size of a word's range in bytes. */
    static int shift(long word) {
        return (int) (word & SHIFT);
    }

    /** Returns a word, or 0 when there is none. */
    long lookup(long tag, long address) {
        for (long rest = sizes; rest != 0; rest &= rest - 1) {
            int shift = Long.numberOfTrailingZeros(rest);
            int slot = slot(tag, address, shift);
            long sequence = cache.sequence(slot);
            if (cache.key(slot) == key(address, shift)) {
                long word = cache.first(slot);
                if (cache.second(slot) == tag && cache.unchanged(slot, sequence)) {
                    return word;
                }
            }
        }
        return 0;
    }

    /** Caches a word. */
    void put(long tag, long address, long word, long sinceEpoch) {
        int shift = shift(word);
        if ((sizes & (1L << shift)) == 0) {
            addSize(1L << shift);
        }
        cache.put(slot(tag, address, shift), key(address, shift), word, tag, sinceEpoch);
    }

    private synchronized void addSize(long size) {
        sizes |= size;
    }

    /** Returns the tag of translations by a domain's host tables: the domain id. */
    static long hostTag(int domainId) {
        return domainId;
    }

    /** Returns the tag of a PASID's guest tables. */
    static long guestTag(int domainId, int pasid) {
        return (long) pasid << 16 | domainId;
    }

    /** Drops the guest pages of a domain that its host tables translated too. */
    void invalidateNested(int domainId) {
        cache.beginInvalidation();
        if (cache.unused()) {
            return;
        }
        for (int slot = 0; slot < cache.slots(); slot++) {
            if (cache.settledKey(slot) != 0 && isNested(slot, domainId)) {
                cache.lock(slot);
                if (isNested(slot, domainId)) {
                    cache.empty(slot);
                }
                cache.unlock(slot);
            }
        }
    }

    private boolean isNested(int slot, int domainId) {
        return (cache.second(slot) & 0xffff) == domainId && (cache.first(slot) & NESTED) != 0;
    }

    /** Drops a tag's words whose ranges overlap a range, its last byte included. */
    void invalidate(long tag, long first, long last) {
        cache.beginInvalidation();
        if (cache.unused()) {
            return;
        }
        if (first >>> 12 == last >>> 12) {
            for (long rest = sizes; rest != 0; rest &= rest - 1) {
                invalidate(slot(tag, first, Long.numberOfTrailingZeros(rest)), tag, first, last);
            }
        } else {
            for (int slot = 0; slot < cache.slots(); slot++) {
                invalidate(slot, tag, first, last);
            }
        }
    }

    private void invalidate(int slot, long tag, long first, long last) {
        if (overlaps(cache.settledKey(slot), first, last) && cache.second(slot) == tag) {
            cache.lock(slot);
            if (overlaps(cache.key(slot), first, last) && cache.second(slot) == tag) {
                cache.empty(slot);
            }
            cache.unlock(slot);
        }
    }

    /** Drops everything. */
    void invalidateAll() {
        cache.clear();
    }

    /** Drops everything while no thread translates. */
    void reset() {
        cache.reset();
        sizes = 0;
    }

    void addTo(StateDigest digest) {
        cache.addTo(digest);
    }

    private int slot(long tag, long address, int shift) {
        return cache.slot((address >>> shift) + tag * 0x9dL);
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
