// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.StateDigest;

/**
 * The IOTLB: translations with the permissions of the whole walk and the leaf's snoop bit, tagged by domain, page and
 * page size.
 *
 * <p>Source: VT-d 6.2.4 (tagging) and 6.5.1.2 (the granularities). An entry is one word:
 *
 * <pre>
 *   62   51    12 11  4  3      2    1 0
 *   ALL  0        reason FAULT  0    0 0    a refusal; ALL: for every request, not only reads or only writes
 *        51    12 6      5  4   2    1 0
 *        frame    DIRTY  SIZE   SNP  W R    a page of 4K, 2M, 1G
 * </pre>
 */
final class Iotlb {
    /** The page may be read. */
    static final long R = 1;
    /** The page may be written. */
    static final long W = 2;
    /** No-snoop is blocked. */
    static final long SNP = 4;
    /** A write need not set a dirty flag: it is already set, or there is none. */
    static final long DIRTY = 1L << 6;

    private static final BitField FRAME = bits(51, 12, "FRAME");
    private static final BitField SIZE = bits(5, 4, "SIZE");
    private static final BitField REASON = bits(11, 4, "REASON");
    private static final BitField FAULT = bit(3, "FAULT");
    private static final BitField ALL = bit(62, "ALL");

    private static final BitField KEY_VALID = bit(63, "VALID");
    private static final BitField KEY_DOMAIN = bits(62, 47, "DID");
    private static final BitField KEY_SIZE = bits(46, 45, "SIZE");
    private static final BitField KEY_PAGE = bits(44, 0, "PAGE");

    private static final int SETS = 256;
    private static final int BITS_PER_LEVEL = 9;
    private static final int SIZES = 3;

    private final SetAssociativeCache cache;

    Iotlb(Epoch epoch) {
        cache = new SetAssociativeCache(SETS, epoch);
    }

    /** Whether a page of 2M, of 1G was ever cached; saves ordinary look-ups two probes. */
    private volatile boolean large;

    /**
     * Packs a translation.
     *
     * @param size 0, 1, 2 for a page of 4K, 2M, 1G
     * @param flags any of {@link #R}, {@link #W}, {@link #SNP} and {@link #DIRTY}
     */
    static long of(long frame, int size, long flags) {
        return FRAME.getInPlace(frame) | (long) size << 4 | flags;
    }

    /**
     * Packs a refusal, which a unit in caching mode caches like a translation.
     *
     * @param all whether it refuses both reads and writes
     */
    static long ofFault(int reason, boolean all) {
        return (long) reason << 4 | FAULT.mask() | (all ? ALL.mask() : 0);
    }

    static boolean isFault(long entry) {
        return FAULT.isSet(entry);
    }

    static boolean refusesAll(long entry) {
        return ALL.isSet(entry);
    }

    static int reason(long entry) {
        return (int) REASON.get(entry);
    }

    /** Returns 0, 1, 2 for a page of 4K, 2M, 1G; 0 for a refusal. */
    static int size(long entry) {
        return isFault(entry) ? 0 : (int) SIZE.get(entry);
    }

    /** Returns the physical address that an address in a page translates to. */
    static long physical(long entry, long address) {
        return FRAME.getInPlace(entry) | (address & ((1L << (12 + BITS_PER_LEVEL * (int) SIZE.get(entry))) - 1));
    }

    /** Returns the translation of an address, or {@link SetAssociativeCache#MISS}. */
    long lookup(int domainId, long address) {
        long page = address >>> 12;
        long domain = KEY_VALID.mask() | ((long) domainId << 47);
        long entry = cache.lookup(hash(domainId, page, 0), domain | page);
        return entry == SetAssociativeCache.MISS && large ? lookupLarge(domainId, page) : entry;
    }

    private long lookupLarge(int domainId, long page) {
        for (int size = 1; size < SIZES; size++) {
            long within = (1L << (BITS_PER_LEVEL * size)) - 1;
            long entry = cache.lookup(hash(domainId, page & ~within, size), key(domainId, page & ~within, size));
            if (entry != SetAssociativeCache.MISS) {
                return entry;
            }
        }
        return SetAssociativeCache.MISS;
    }

    /** Caches an entry. */
    void fill(int domainId, long address, long entry, long readInEpoch) {
        int size = size(entry);
        if (size != 0 && !large) {
            large = true;
        }
        long page = (address >>> 12) & (-1L << (BITS_PER_LEVEL * size));
        cache.fill(hash(domainId, page, size), key(domainId, page, size), entry, readInEpoch);
    }

    void invalidateAll() {
        cache.clear();
    }

    void invalidateDomain(int domainId) {
        cache.removeMatching(KEY_DOMAIN.mask(), KEY_DOMAIN.of(domainId), 0, 0);
    }

    /**
     * Drops the translations of any of 2^mask pages of 4K.
     *
     * @param address any address in the range, which is aligned to its size
     */
    void invalidatePages(int domainId, long address, int mask) {
        long page = (address >>> 12) & KEY_PAGE.mask();
        // The first pass begins a new epoch; the first fill of a large page sets its flag before it reads the epoch.
        for (int size = 0; size == 0 || (large && size < SIZES); size++) {
            int ignored = BITS_PER_LEVEL * size;
            long first = page & (-1L << ignored);
            if (mask <= ignored) {
                cache.remove(hash(domainId, first, size), key(domainId, first, size));
            } else {
                long outside = KEY_PAGE.mask() & (-1L << mask);
                cache.removeMatching(KEY_DOMAIN.mask() | KEY_SIZE.mask() | outside, key(domainId, first, size), 0, 0);
            }
        }
    }

    void reset() {
        cache.reset();
        large = false;
    }

    void addTo(StateDigest digest) {
        cache.addTo(digest);
    }

    private static long key(int domainId, long page, int size) {
        return KEY_VALID.mask() | ((long) domainId << 47) | ((long) size << 45) | page;
    }

    private static int hash(int domainId, long page, int size) {
        // Neighbouring pages in neighbouring sets, domains and sizes apart.
        return (int) (page >>> (BITS_PER_LEVEL * size)) + domainId * 37 + (size << 6);
    }
}
