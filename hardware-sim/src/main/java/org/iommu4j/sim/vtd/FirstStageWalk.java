// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

/**
 * The start of a first-stage walk: its tables, the way they are read, the epoch, and the second stage below.
 *
 * <p>Source: VT-d 9.6, the fields of a PASID table entry. A thread reuses one object for all its walks, so that a walk
 * allocates nothing.
 */
final class FirstStageWalk {
    /** The domain and PASID that tag cached entries, as {@link ScalableCaches#tag} makes it. */
    long tag;
    /** The address of the top-level table: guest-physical when nested, else physical. */
    long root;
    /** The top-level table's level, 4 or 5. */
    int levels;
    /** Whether entries are accessed through the CPU caches. */
    boolean snooped;
    /** Whether no-snoop is blocked for all pages that the tables map. */
    boolean snoopsData;
    /** The flags that a use of an entry sets. */
    long used;
    /** The epoch before the tables were looked up. */
    long began;
    /** Whether all addresses in the tables are guest-physical. */
    boolean nested;

    /** The second stage below, when nested. */
    final SecondStageWalk below = new SecondStageWalk();

    /** The result of the look-up in the caches. */
    final WideCache.Entry cached = new WideCache.Entry();

    /** Starts from a PASID table entry that has a first stage. */
    void start(WideCache.Entry pasidEntry, long tag, long began) {
        this.tag = tag;
        root = VtdScalableTables.firstStageTable(pasidEntry);
        levels = VtdScalableTables.firstStageLevels(pasidEntry);
        snooped = VtdScalableTables.snoopsWalks(pasidEntry);
        snoopsData = VtdScalableTables.snoopsData(pasidEntry);
        used = VtdScalableTables.firstStageUse(pasidEntry);
        this.began = began;
        nested = VtdScalableTables.type(pasidEntry) == VtdScalableTables.NESTED;
        if (nested) {
            below.start(pasidEntry, began);
        }
    }
}
