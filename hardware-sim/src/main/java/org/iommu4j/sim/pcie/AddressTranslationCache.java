// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import java.util.Arrays;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * The translations that a function with Address Translation Services caches, in pages of 4K.
 *
 * <p>A page is cached for reads, for writes, or for both, according to the requests. It stays until an invalidation
 * request, until ATS is turned on again ({@link FunctionConfig}), or until another page replaces it. All requesters of
 * a function share the cache. Source: PCI Express Base 5.0, chapter 10; section 10.3.7 of 6.2 lists the events that
 * empty it without a request.
 */
final class AddressTranslationCache {
    /** Returned when nothing is cached. */
    static final long UNKNOWN = TranslationUnit.NOT_TRANSLATED;

    private static final int SLOTS = 64;
    private static final int PAGE_SHIFT = 12;

    /** The page number + 1, so that 0 is an empty slot. */
    private final long[] pages = new long[SLOTS];

    /** PASID + 1 above bit 0, which is set for writes. */
    private final long[] pasids = new long[SLOTS];

    private final long[] translations = new long[SLOTS];

    /** Returns the translation of an address, or {@link #UNKNOWN}. */
    synchronized long lookup(int pasid, long address, boolean write) {
        int slot = slot(pasid, address, write);
        if (pages[slot] != key(address) || pasids[slot] != kind(pasid, write)) {
            return UNKNOWN;
        }
        long page = translations[slot];
        return page | (address & 0xfff);
    }

    /** Caches the translation of an address. */
    synchronized void fill(int pasid, long address, boolean write, long translation) {
        int slot = slot(pasid, address, write);
        pages[slot] = key(address);
        pasids[slot] = kind(pasid, write);
        translations[slot] = translation & ~0xfffL;
    }

    /**
     * Drops a range.
     *
     * @param size bytes, a power of two; 2^63 for all
     */
    synchronized void invalidate(int pasid, long address, long size) {
        for (int slot = 0; slot < SLOTS; slot++) {
            long page = (pages[slot] - 1) << PAGE_SHIFT;
            boolean inRange = size == Long.MIN_VALUE || ((page ^ address) & -size) == 0;
            if (pages[slot] != 0 && inRange && pasids[slot] >>> 1 == pasid + 1L) {
                pages[slot] = 0;
            }
        }
    }

    synchronized void reset() {
        Arrays.fill(pages, 0);
    }

    synchronized void addTo(StateDigest digest) {
        for (int slot = 0; slot < SLOTS; slot++) {
            if (pages[slot] != 0) {
                digest.add(slot);
                digest.add(pages[slot]);
                digest.add(pasids[slot]);
                digest.add(translations[slot]);
            }
        }
    }

    private static long key(long address) {
        return (address >>> PAGE_SHIFT) + 1;
    }

    private static long kind(int pasid, boolean write) {
        return (pasid + 1L) << 1 | (write ? 1 : 0);
    }

    private static int slot(int pasid, long address, boolean write) {
        return (int) ((address >>> PAGE_SHIFT) * 2 + pasid * 7L + (write ? 1 : 0)) & (SLOTS - 1);
    }
}
