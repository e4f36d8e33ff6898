// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

/**
 * A unit's reading of the tables in a memory image: the silicon's own walk, without the silicon's state.
 *
 * <p>Made by {@link TranslationUnitProvider#reader}. Reads only, and reports what it can't follow. Each visit ends,
 * whatever the image says: {@link TableListing} has the rules.
 */
public interface TableReader {
    /** Returns what the unit is, in one line: its kind, mode and the address of its top table. */
    String describe();

    /** Visits all requesters in ascending order of their source ids, each PASID after the requests without. */
    void visit(TableVisitor visitor);

    /**
     * Visits one requester with its PASIDs; nothing is visited when it has no entry.
     *
     * @param sourceId unsigned 32 bits, see {@link SourceIdRange}
     */
    void visit(int sourceId, TableVisitor visitor);

    /**
     * Translates one request.
     *
     * @param sourceId unsigned 32 bits, see {@link SourceIdRange}
     * @param pasid 0 to 2^20 - 1, or {@link TranslationUnit#NO_PASID}
     * @param address the untranslated address, in bytes
     * @param flags {@link RequestFlags}
     * @return a {@link Translation}
     */
    long translate(int sourceId, int pasid, long address, int flags);

    /** Says in the manual's words what the fault code of a {@link #translate} means. */
    String faultReason(int code);
}
