// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import org.iommu4j.Prot;

/**
 * One mapping of a container. Source: {@code struct vfio_dma}.
 *
 * @param iova first I/O virtual address
 * @param virtualAddress its address in the process
 * @param size bytes
 * @param prot the rights that the user gives devices: {@link Prot#READ}, {@link Prot#WRITE} or both
 */
record DmaMapping(long iova, long virtualAddress, long size, int prot) {
    /** Returns the last I/O virtual address, inclusive: the end of the topmost mapping would overflow. */
    long last() {
        return iova + (size - 1);
    }

    /** Returns whether devices may write, so that its pages are dirty afterwards. */
    boolean writable() {
        return (prot & Prot.WRITE) != 0;
    }
}
