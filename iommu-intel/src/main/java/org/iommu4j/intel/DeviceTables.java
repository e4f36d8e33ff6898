// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.IommuException;
import org.iommu4j.intel.fmt.PasidEntry;

/**
 * The tables in which a unit finds a requester's translation: the root table and all tables below it.
 *
 * <p>One monitor guards all tables of a unit. An entry is wider than an atomic store, so it is made not present before
 * each change.
 */
interface DeviceTables {
    /** Returns the value of RTADDR: the root table's address and, in TTM, the mode. */
    long rootPointer();

    /**
     * Makes sure that attaching a requester's ordinary requests needs no memory.
     *
     * @throws IommuException ENOMEM; ETIMEDOUT or EIO where the unit must be asked to invalidate
     */
    void prepare(Requester requester);

    /**
     * Replaces an entry.
     *
     * @param pasid {@link PasidEntry#NO_PASID} for ordinary requests
     * @param words the new words, as {@link IntelDomain#entry} returns them; none for not present
     * @param domainId the tag of the new entry
     * @throws IommuException ENOMEM, nothing was changed; ETIMEDOUT or EIO, the old entry is restored but the unit may
     *     have seen the new one
     */
    void set(Requester requester, int pasid, long[] words, int domainId);

    /**
     * Clears an entry; never allocates.
     *
     * @throws IommuException ETIMEDOUT or EIO; the entry is clear nevertheless
     */
    void clear(Requester requester, int pasid);

    /**
     * Sets or clears bits of a present entry that is tagged with a domain's id, and makes the unit see it. An entry
     * that now belongs to another domain is left unchanged.
     *
     * @param word index of the entry's word
     * @throws IommuException ETIMEDOUT or EIO; the old bits are restored
     */
    void change(Requester requester, int pasid, int domainId, int word, long mask, boolean set);

    /**
     * Sets or clears bits as {@link #change} does, to undo such a change; also for a broken unit.
     *
     * @throws IommuException ETIMEDOUT or EIO; the bits are changed nevertheless
     */
    void takeBack(Requester requester, int pasid, int domainId, int word, long mask, boolean set);

    /** Returns how many frames the tables use. */
    long countFrames();

    /** Frees all frames. */
    void free();
}
