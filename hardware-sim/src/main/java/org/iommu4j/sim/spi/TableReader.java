// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

/**
 * A unit's reading of the tables in a memory image: the silicon's own walk, without the silicon's state.
 *
 * <p>Made by {@link TranslationUnitProvider#reader}. Reads only: the image stays as it is [tables-1]. It reports what
 * it can't follow, and throws nothing on any image [tables-2]. Each visit ends, with any image: {@link TableListing}
 * has the rules [tables-3].
 */
public interface TableReader {
    /** Describes the unit in one line: its kind, mode and the address of its top table [tables-describe-1]. */
    String describe();

    /**
     * Visits all requesters in ascending order of their source ids, each PASID after the requests without
     * [tables-visit-1].
     */
    void visit(TableVisitor visitor);

    /**
     * Visits one requester with its PASIDs; nothing is visited when it has no entry [tables-visit-2].
     *
     * @param sourceId unsigned 32 bits, see {@link SourceIdRange}
     */
    void visit(int sourceId, TableVisitor visitor);

    /**
     * Translates one request.
     *
     * <p>The answer is that of a unit with these registers over this memory, and of each visited mapping
     * [tables-translate-1].
     *
     * @param sourceId unsigned 32 bits, see {@link SourceIdRange}
     * @param pasid 0 to 2^20 - 1, or {@link TranslationUnit#NO_PASID}
     * @param address the untranslated address, in bytes
     * @param flags {@link RequestFlags}
     * @return a {@link Translation}
     */
    long translate(int sourceId, int pasid, long address, int flags);

    /** Returns the meaning of a fault code of {@link #translate} in the manual's words [tables-fault-1]. */
    String faultReason(int code);
}
