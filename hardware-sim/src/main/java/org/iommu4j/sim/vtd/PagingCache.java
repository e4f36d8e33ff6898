// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.StateDigest;

/**
 * The paging-structure caches of the second stage: for a domain and a range of addresses, the table that maps the
 * range's pages, with the permissions of the entries above it.
 *
 * <p>Source: VT-d 6.2.5. Each walk keeps its lowest entry that points to a table, so that a later walk in its range
 * reads one entry. Entries stay when only leaves are invalidated (IH). One word:
 *
 * <pre>
 *   51    12  2      1 0
 *   table     VALID  W R
 * </pre>
 */
final class PagingCache {
    /** The result of a look-up when nothing is cached. */
    static final long MISS = SetAssociativeCache.MISS;

    private static final BitField TABLE = bits(51, 12, "TABLE");
    private static final BitField VALID = bit(2, "VALID");
    private static final BitField KEY_VALID = bit(63, "VALID");
    private static final BitField KEY_DOMAIN = bits(62, 47, "DID");
    private static final BitField KEY_LEVEL = bits(46, 44, "LEVEL");
    private static final BitField KEY_PREFIX = bits(43, 0, "PREFIX");

    /** The lowest and the highest level of an entry that can be the last before a leaf. */
    private static final int FIRST_LEVEL = 2;

    private static final int LAST_LEVEL = 4;
    private static final int SETS = 64;

    private final SetAssociativeCache cache;

    /** Bit n: an entry of level n was ever cached; saves look-ups and invalidations the other levels. */
    private volatile int levels;

    PagingCache(Epoch epoch) {
        cache = new SetAssociativeCache(SETS, epoch);
    }

    /** Returns the physical address of the table. */
    static long table(long entry) {
        return TABLE.getInPlace(entry);
    }

    /** Returns the permissions, {@link SecondStage#R} and {@link SecondStage#W}. */
    static long rights(long entry) {
        return entry & (SecondStage.R | SecondStage.W);
    }

    /** Returns the cached word of the table that an entry of a level points to, or {@link #MISS}. */
    long lookup(int domainId, int level, long address) {
        return (levels >>> level & 1) == 0
                ? MISS
                : cache.lookup(hash(domainId, level, address), key(domainId, level, address));
    }

    /**
     * Caches an entry.
     *
     * @param level level of the entry that points to the table, 2 to 4
     */
    void fill(int domainId, int level, long address, long table, long rights, long readInEpoch) {
        if ((levels >>> level & 1) == 0) {
            noticeLevel(level);
        }
        cache.fill(
                hash(domainId, level, address),
                key(domainId, level, address),
                table | VALID.mask() | rights,
                readInEpoch);
    }

    private synchronized void noticeLevel(int level) {
        levels |= 1 << level;
    }

    void invalidateAll() {
        cache.clear();
    }

    void invalidateDomain(int domainId) {
        cache.removeMatching(KEY_DOMAIN.mask(), KEY_DOMAIN.of(domainId), 0, 0);
    }

    /** Drops the entries above any of 2^mask pages of 4K. */
    void invalidatePages(int domainId, long address, int mask) {
        for (int level = FIRST_LEVEL; level <= LAST_LEVEL; level++) {
            if ((levels >>> level & 1) == 0) {
                continue;
            }
            int covered = 9 * (level - 1);
            long key = key(domainId, level, address);
            if (mask <= covered) {
                cache.remove(hash(domainId, level, address), key);
            } else {
                long outside = KEY_PREFIX.mask() & (-1L << (mask - covered));
                cache.removeMatching(KEY_DOMAIN.mask() | KEY_LEVEL.mask() | outside, key, 0, 0);
            }
        }
    }

    void reset() {
        cache.reset();
        levels = 0;
    }

    void addTo(StateDigest digest) {
        cache.addTo(digest);
    }

    private static long key(int domainId, int level, long address) {
        return KEY_VALID.mask()
                | (long) domainId << 47
                | (long) level << 44
                | (address >>> SecondStage.shift(level) & KEY_PREFIX.mask());
    }

    private static int hash(int domainId, int level, long address) {
        return (int) (address >>> SecondStage.shift(level)) + domainId * 37 + (level << 4);
    }
}
