// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import java.util.Arrays;
import org.iommu4j.sim.spi.InvalidationTags;
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
    private static final int ALL_PASIDS = -2;

    /** The page number + 1, so that 0 is an empty slot. */
    private final long[] pages = new long[SLOTS];

    /** PASID + 1 above bit 0, which is set for writes. */
    private final long[] pasids = new long[SLOTS];

    private final long[] translations = new long[SLOTS];

    private boolean answersLater;

    /** How many invalidation requests are not answered yet; each has a tag of its own. */
    private int requests;

    private final int[] requestedTags = new int[InvalidationTags.MOST];
    private final int[] requestedPasids = new int[InvalidationTags.MOST];
    private final long[] requestedAddresses = new long[InvalidationTags.MOST];
    private final long[] requestedSizes = new long[InvalidationTags.MOST];

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

    /** Has requests answered later, the newest first, or at once as at power-on. */
    synchronized void answerLater(boolean late) {
        answersLater = late;
    }

    /** Takes an invalidation request, and returns whether it is answered at once. */
    synchronized boolean request(int pasid, boolean global, long address, long size, int tag) {
        if (!answersLater) {
            invalidate(pasid, global, address, size);
            return true;
        }
        requestedPasids[requests] = global ? ALL_PASIDS : pasid;
        requestedAddresses[requests] = address;
        requestedSizes[requests] = size;
        requestedTags[requests++] = tag;
        return false;
    }

    /** Does what the newest unanswered request wants; returns its tag, -1 without one. */
    synchronized int nextAnswer() {
        if (requests == 0) {
            return -1;
        }
        requests--;
        int pasid = requestedPasids[requests];
        invalidate(pasid, pasid == ALL_PASIDS, requestedAddresses[requests], requestedSizes[requests]);
        return requestedTags[requests];
    }

    /**
     * Drops a range.
     *
     * @param global whether of all PASIDs
     * @param size bytes, a power of two; 2^63 for all
     */
    synchronized void invalidate(int pasid, boolean global, long address, long size) {
        for (int slot = 0; slot < SLOTS; slot++) {
            long page = (pages[slot] - 1) << PAGE_SHIFT;
            boolean inRange = size == Long.MIN_VALUE || ((page ^ address) & -size) == 0;
            if (pages[slot] != 0 && inRange && (global || pasids[slot] >>> 1 == pasid + 1L)) {
                pages[slot] = 0;
            }
        }
    }

    synchronized void reset() {
        Arrays.fill(pages, 0);
        answersLater = false;
        requests = 0;
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
        if (answersLater || requests != 0) {
            digest.add(answersLater);
        }
        for (int i = 0; i < requests; i++) {
            digest.add(requestedTags[i]);
            digest.add(requestedPasids[i]);
            digest.add(requestedAddresses[i]);
            digest.add(requestedSizes[i]);
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
