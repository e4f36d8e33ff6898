// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

/**
 * The start of a second-stage walk: its tables, the way they are read, and the epoch.
 *
 * <p>Source: VT-d 9.3 and 9.6, the fields of a context entry and of a PASID table entry. A thread reuses one object for
 * all its requests, so that a walk allocates nothing. A nested translation walks from it several times.
 */
final class SecondStageWalk {
    /** The domain that tags cached entries. */
    int domainId;
    /** The physical address of the top-level table. */
    long root;
    /** The top-level table's level, 3 to 5. */
    int levels;
    /** Whether entries are accessed through the CPU caches. */
    boolean snooped;
    /** Whether accessed and dirty flags are set. */
    boolean setsFlags;
    /** The epoch before the tables were looked up. */
    long began;

    /**
     * Starts from a context entry of legacy mode, which sets no flags.
     *
     * @param context as {@link ContextCache} packs it, not a fault
     * @param snooped whether the unit snoops its walks (ECAP.C)
     */
    void start(long context, boolean snooped, long began) {
        domainId = ContextCache.domainId(context);
        root = ContextCache.table(context);
        levels = ContextCache.levels(context);
        this.snooped = snooped;
        setsFlags = false;
        this.began = began;
    }

    /** Starts from a PASID table entry that has a second stage. */
    void start(WideCache.Entry pasidEntry, long began) {
        domainId = VtdScalableTables.domainId(pasidEntry);
        root = VtdScalableTables.secondStageTable(pasidEntry);
        levels = VtdScalableTables.secondStageLevels(pasidEntry);
        snooped = VtdScalableTables.snoopsWalks(pasidEntry);
        setsFlags = VtdScalableTables.setsSecondStageFlags(pasidEntry);
        this.began = began;
    }
}
