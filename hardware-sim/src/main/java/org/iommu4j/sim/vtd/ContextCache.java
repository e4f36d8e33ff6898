// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.StateDigest;

/**
 * The context cache: the parts of a requester's context entry that the unit keeps, in one word, tagged by requester and
 * domain.
 *
 * <p>Source: VT-d 6.2.2 (tagging) and 6.5.1.1 (the granularities).
 *
 * <pre>
 *   63  48 47   8 7      6   5 4      3  1     0
 *   DID    ASR    FAULT  FPD TT       LEVELS   1
 *          15:8 the fault reason, if FAULT
 * </pre>
 */
final class ContextCache {
    private static final BitField DOMAIN = bits(63, 48, "DID");
    private static final BitField TABLE = bits(47, 8, "ASR");
    private static final BitField REASON = bits(15, 8, "REASON");
    private static final BitField FAULT = bit(7, "FAULT");
    private static final BitField FPD = bit(6, "FPD");
    private static final BitField TYPE = bits(5, 4, "TT");
    private static final BitField LEVELS = bits(3, 1, "LEVELS");
    private static final long VALID = 1;

    private static final int SETS = 32;
    private static final long PRESENT_KEY = 1L << 16;

    private final SetAssociativeCache cache;

    ContextCache(Epoch epoch) {
        cache = new SetAssociativeCache(SETS, epoch);
    }

    /** Packs a usable context. */
    static long of(int domainId, long table, int levels, int type, boolean faultProcessingDisabled) {
        return DOMAIN.of(domainId)
                | TABLE.of(table >>> 12)
                | TYPE.of(type)
                | LEVELS.of(levels)
                | (faultProcessingDisabled ? FPD.mask() : 0)
                | VALID;
    }

    /** Packs a context that blocks every request; it is tagged with domain 0. */
    static long ofFault(int reason, boolean faultProcessingDisabled) {
        return REASON.of(reason) | FAULT.mask() | (faultProcessingDisabled ? FPD.mask() : 0) | VALID;
    }

    static boolean isFault(long context) {
        return FAULT.isSet(context);
    }

    static int reason(long context) {
        return (int) REASON.get(context);
    }

    static boolean faultProcessingDisabled(long context) {
        return FPD.isSet(context);
    }

    static int domainId(long context) {
        return (int) DOMAIN.get(context);
    }

    static long table(long context) {
        return TABLE.get(context) << 12;
    }

    static int levels(long context) {
        return (int) LEVELS.get(context);
    }

    static int type(long context) {
        return (int) TYPE.get(context);
    }

    /** Returns a context, or {@link SetAssociativeCache#MISS}. */
    long lookup(int requesterId) {
        return cache.lookup(hash(requesterId), requesterId | PRESENT_KEY);
    }

    void fill(int requesterId, long context, long readInEpoch) {
        cache.fill(hash(requesterId), requesterId | PRESENT_KEY, context, readInEpoch);
    }

    void invalidateAll() {
        cache.clear();
    }

    void invalidateDomain(int domainId) {
        cache.removeMatching(0, 0, DOMAIN.mask(), DOMAIN.of(domainId));
    }

    /**
     * Drops the contexts of a device that belong to a domain.
     *
     * @param functionMask 0 to 3: the number of the function number's bits, from its highest, that are ignored
     */
    void invalidateDevice(int domainId, int requesterId, int functionMask) {
        int ignored = 7 & ~(7 >>> functionMask);
        cache.removeMatching(~(long) ignored, requesterId | PRESENT_KEY, DOMAIN.mask(), DOMAIN.of(domainId));
    }

    void reset() {
        cache.reset();
    }

    void addTo(StateDigest digest) {
        cache.addTo(digest);
    }

    private static int hash(int requesterId) {
        return requesterId ^ (requesterId >>> 3) ^ (requesterId >>> 8);
    }
}
