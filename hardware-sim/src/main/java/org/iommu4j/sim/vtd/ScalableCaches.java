// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.StateDigest;

/**
 * The caches that only scalable mode has: contexts, PASID entries, and the first stage's translations and tables.
 *
 * <p>Source: VT-d 6.2.2 to 6.2.5 (tagging) and 6.5.2 (the granularities). Contexts are tagged by
 * requester, PASID entries by requester and PASID, translations and tables of the first stage by domain and PASID,
 * alone or nested. The second stage's are in {@link Iotlb} and {@link PagingCache}, tagged by domain, as in legacy
 * mode.
 */
final class ScalableCaches {
    private static final BitField TAG_PASID = bits(19, 0, "PASID");
    private static final BitField TAG_DOMAIN = bits(35, 20, "DID");
    private static final BitField TAG_NESTED = bit(36, "NESTED");

    /** Bits in the tag of a PASID entry. */
    private static final BitField ENTRY_DOMAIN = bits(15, 0, "DID");

    private static final BitField KEY_VALID = bit(63, "VALID");
    private static final BitField KEY_LEVEL = bits(62, 60, "LEVEL");
    private static final BitField KEY_PREFIX = bits(44, 0, "PREFIX");

    private static final int PAGE_SIZES = 3;
    private static final int FIRST_TABLE_LEVEL = 2;
    private static final int LAST_TABLE_LEVEL = 4;

    private final WideCache contexts;
    private final WideCache pasids;
    private final WideCache pages;
    private final WideCache tables;

    ScalableCaches(Epoch epoch) {
        contexts = new WideCache(16, epoch);
        pasids = new WideCache(32, epoch);
        pages = new WideCache(128, epoch);
        tables = new WideCache(32, epoch);
    }

    boolean lookupContext(int requesterId, WideCache.Entry into) {
        return contexts.lookup(requesterId ^ requesterId >>> 8, KEY_VALID.mask() | requesterId, 0, 0, into);
    }

    void fillContext(int requesterId, WideCache.Entry context, long began) {
        contexts.fill(
                requesterId ^ requesterId >>> 8,
                KEY_VALID.mask() | requesterId,
                context.tag,
                context.first,
                context.second,
                began);
    }

    boolean lookupPasid(int requesterId, int pasid, WideCache.Entry into) {
        return pasids.lookup(requesterId ^ pasid, pasidKey(requesterId, pasid), 0, 0, into);
    }

    void fillPasid(int requesterId, int pasid, WideCache.Entry entry, long began) {
        pasids.fill(requesterId ^ pasid, pasidKey(requesterId, pasid), entry.tag, entry.first, entry.second, began);
    }

    private static long pasidKey(int requesterId, int pasid) {
        return KEY_VALID.mask() | (long) requesterId << 20 | pasid;
    }

    /** Returns the tag of the first stage's translations for a PASID. */
    static long tag(int domainId, int pasid, boolean nested) {
        return (nested ? TAG_NESTED.mask() : 0) | (long) domainId << 20 | pasid;
    }

    /** Returns an {@link Iotlb} entry, or {@link SetAssociativeCache#MISS}. */
    long lookupPage(long tag, long address, WideCache.Entry scratch) {
        for (int size = 0; size < PAGE_SIZES; size++) {
            if (pages.lookup(hash(tag, size + 1, address), key(size + 1, address), -1L, tag, scratch)) {
                return scratch.first;
            }
        }
        return SetAssociativeCache.MISS;
    }

    void fillPage(long tag, long address, long entry, long began) {
        int level = Iotlb.size(entry) + 1;
        pages.fill(hash(tag, level, address), key(level, address), tag, entry, 0, began);
    }

    /**
     * Looks up the table that an entry of a level points to.
     *
     * @param into receives the table's address and the rights of the entries above, in an entry's layout
     */
    boolean lookupTable(long tag, int level, long address, WideCache.Entry into) {
        return tables.lookup(hash(tag, level, address), key(level, address), -1L, tag, into);
    }

    void fillTable(long tag, int level, long address, long tableAndRights, long began) {
        tables.fill(hash(tag, level, address), key(level, address), tag, tableAndRights, 0, began);
    }

    private static long key(int level, long address) {
        return KEY_VALID.mask() | (long) level << 60 | (address >>> SecondStage.shift(level) & KEY_PREFIX.mask());
    }

    private static int hash(long tag, int level, long address) {
        return (int) (address >>> SecondStage.shift(level)) + (int) tag * 37 + (int) (tag >>> 20) * 11 + (level << 5);
    }

    void invalidateContexts() {
        contexts.clear();
    }

    /** Drops the contexts of a device; {@code functionMask} as in {@link ContextCache#invalidateDevice}. */
    void invalidateDevice(int requesterId, int functionMask) {
        int ignored = 7 & ~(7 >>> functionMask);
        contexts.removeMatching(~(long) ignored, KEY_VALID.mask() | requesterId, 0, 0);
    }

    void invalidatePasids() {
        pasids.clear();
    }

    void invalidatePasidsOfDomain(int domainId) {
        pasids.removeMatching(0, 0, ENTRY_DOMAIN.mask(), domainId);
    }

    /** Drops the entries of a PASID in a domain, and refusals of the PASID, which belong to no domain. */
    void invalidatePasid(int domainId, int pasid) {
        pasids.removeMatching(TAG_PASID.mask(), pasid, -1L, domainId);
        pasids.removeMatching(TAG_PASID.mask(), pasid, -1L, VtdScalableTables.NO_DOMAIN);
    }

    void invalidateTranslations() {
        pages.clear();
        tables.clear();
    }

    void invalidateTranslationsOfDomain(int domainId) {
        removeTagged(TAG_DOMAIN.mask(), tag(domainId, 0, false));
    }

    /** Drops everything that depends on a domain's second stage, since the parts it depends on are unknown. */
    void invalidateNestedOfDomain(int domainId) {
        removeTagged(TAG_NESTED.mask() | TAG_DOMAIN.mask(), tag(domainId, 0, true));
    }

    void invalidateTranslationsOfPasid(int domainId, int pasid) {
        removeTagged(TAG_DOMAIN.mask() | TAG_PASID.mask(), tag(domainId, pasid, false));
    }

    private void removeTagged(long mask, long tag) {
        pages.removeMatching(0, 0, mask, tag);
        tables.removeMatching(0, 0, mask, tag);
    }

    /** Drops translations of any of 2^mask pages of 4K, and the tables above them unless only leaves changed. */
    void invalidatePages(int domainId, int pasid, long address, int mask, boolean leavesOnly) {
        for (int level = 1; level <= PAGE_SIZES; level++) {
            removePages(pages, domainId, pasid, level, address, mask);
        }
        for (int level = FIRST_TABLE_LEVEL; !leavesOnly && level <= LAST_TABLE_LEVEL; level++) {
            removePages(tables, domainId, pasid, level, address, mask);
        }
    }

    private static void removePages(WideCache cache, int domainId, int pasid, int level, long address, int mask) {
        int within = Math.min(Math.max(0, mask - 9 * (level - 1)), KEY_PREFIX.width());
        long inRange = KEY_PREFIX.mask() & (-1L << within);
        cache.removeMatching(
                KEY_VALID.mask() | KEY_LEVEL.mask() | inRange,
                key(level, address),
                TAG_DOMAIN.mask() | TAG_PASID.mask(),
                tag(domainId, pasid, false));
    }

    void reset() {
        contexts.reset();
        pasids.reset();
        pages.reset();
        tables.reset();
    }

    void addTo(StateDigest digest) {
        contexts.addTo(digest);
        pasids.addTo(digest);
        pages.addTo(digest);
        tables.addTo(digest);
    }
}
