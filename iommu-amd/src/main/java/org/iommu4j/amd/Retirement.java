// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;

/** What the owner of a page table does with frames that a unit may still be walking. */
interface Retirement {
    /**
     * Frees a chain of frames after the units have forgotten them.
     *
     * @param first first byte of the range that they translated
     * @param last last byte, inclusive
     * @throws IommuException ETIMEDOUT or EIO; the frames are quarantined
     */
    void retire(long chain, long first, long last);

    /** Invalidates and frees what a full gather holds. Never fails: what is not forgotten is quarantined. */
    void makeRoom(IotlbGather gather);
}
