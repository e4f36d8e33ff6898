// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

/**
 * The receiver of what a unit's tables say, in the order in which it is found: a requester, then its tables and
 * mappings by ascending IOVA, then the next.
 */
public interface TableVisitor {
    /** No PASID: ordinary requests. */
    int NO_PASID = TranslationUnit.NO_PASID;

    /**
     * A requester that has an entry.
     *
     * @param sourceId unsigned 32 bits, see {@link SourceIdRange}
     * @param pasid 0 to 2^20 - 1, or {@link #NO_PASID}
     * @param translation how its requests are translated, in the manual's words, for example {@code second stage, 4
     *     levels, domain 3}
     * @param root physical address of its top table, or -1 when it has none
     */
    void requester(int sourceId, int pasid, String translation, long root);

    /**
     * An entry that points to a table.
     *
     * @param level of the entry, counted from 1 for those that map the smallest pages
     * @param entryAddress physical address of the entry
     * @param entry its value
     * @param iova the first address that it covers
     */
    void table(int level, long entryAddress, long entry, long iova);

    /**
     * One mapping; entries that the format repeats for one large page are one.
     *
     * @param iova first byte
     * @param physicalAddress first byte
     * @param size bytes
     * @param prot {@link org.iommu4j.Prot} READ and WRITE as a request gets them, after the whole walk
     * @param snoopForced whether no-snoop is blocked
     * @param entry the value of the (first) entry
     * @param level of the entry
     */
    void mapping(long iova, long physicalAddress, long size, int prot, boolean snoopForced, long entry, int level);

    /**
     * Something that can't be followed: an entry with reserved bits, a table outside the memory or inside itself.
     *
     * @param line what, where and what was expected
     */
    void problem(String line);
}
