// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;

/** Frees or quarantines a page table's frames that a unit may still be walking. */
interface Retirement {
    /**
     * Frees a chain of frames after the units have invalidated them.
     *
     * @param first first byte of the range that they translated
     * @param last last byte, inclusive
     * @throws IommuException ETIMEDOUT or EIO; the frames are quarantined
     */
    void retire(long chain, long first, long last);

    /** Invalidates and frees the frames of a full gather. Never fails: frames not invalidated are quarantined. */
    void makeRoom(IotlbGather gather);
}
