// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.IommuException;
import org.iommu4j.intel.fmt.PasidEntry;

/**
 * The tables in which a unit finds, for a requester, how to translate: the root table and what it leads to.
 *
 * <p>One monitor for all of a unit's: entries are wider than what can change at once, so that each changes by way of
 * not present.
 */
interface DeviceTables {
    /** Returns the value of RTADDR: where the root table is and, in TTM, in which mode. */
    long rootPointer();

    /**
     * Makes sure that attaching a requester's ordinary requests needs no memory.
     *
     * @throws IommuException ENOMEM; ETIMEDOUT or EIO where the unit has to be told
     */
    void prepare(Requester requester);

    /**
     * Points an entry somewhere else.
     *
     * @param pasid {@link PasidEntry#NO_PASID} for ordinary requests
     * @param words the new words, as {@link IntelDomain#entry} returns them; none for not present
     * @param domainId what the new entry is tagged with
     * @throws IommuException ENOMEM, nothing was changed; ETIMEDOUT or EIO, the old entry stands again but the unit may
     *     have seen the new one
     */
    void set(Requester requester, int pasid, long[] words, int domainId);

    /**
     * Clears an entry; never allocates.
     *
     * @throws IommuException ETIMEDOUT or EIO; the entry is clear all the same
     */
    void clear(Requester requester, int pasid);

    /**
     * Sets or clears bits of an entry that is present and tagged with a domain's id, and has the unit notice; an entry
     * that is another's by now stays as it is.
     *
     * @param word which word of the entry
     * @throws IommuException ETIMEDOUT or EIO; the old bits stand again
     */
    void change(Requester requester, int pasid, int domainId, int word, long mask, boolean set);

    /**
     * Sets or clears bits as {@link #change} does, to take such a change back: also for a unit that is broken.
     *
     * @throws IommuException ETIMEDOUT or EIO; the bits stand all the same
     */
    void takeBack(Requester requester, int pasid, int domainId, int word, long mask, boolean set);

    /** Returns how many frames they take. */
    long countFrames();

    /** Frees all frames. */
    void free();
}
