// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import org.jspecify.annotations.Nullable;

/**
 * A contiguous range of an IOAS that maps a contiguous range of memory; a node of {@link AreaTree}.
 *
 * <p>Under the lock of its IOAS. Source: {@code struct iopt_area}.
 */
final class IoasArea {
    /** First IOVA. */
    final long iova;
    /** Last IOVA, inclusive. */
    final long last;
    /** What it maps. */
    final AreaPages pages;
    /** The first byte in {@link #pages}. */
    final long offset;
    /** {@link org.iommu4j.Prot} bits that the user asked for. */
    final int prot;

    /**
     * Whether it is being filled or emptied, as each is at first: its addresses are taken, and nobody else may touch
     * it. Source: {@code pages} of {@code struct iopt_area}, which is null meanwhile.
     */
    boolean building = true;

    /** How many pins of accesses it has. */
    int accesses;
    /** Whether it is about to be unmapped, so that accesses may not pin it any more. */
    boolean preventAccess;

    // ---- of the tree -----------------------------------------------------------------------------------------------
    @Nullable
    IoasArea left;

    @Nullable
    IoasArea right;

    /** Bytes between this area and the one before it, unsigned. */
    long gap;

    /** The largest gap of this area and of those below it in the tree. */
    long largestGap;

    IoasArea(long iova, long length, AreaPages pages, long offset, int prot) {
        this.iova = iova;
        this.last = iova + (length - 1);
        this.pages = pages;
        this.offset = offset;
        this.prot = prot;
    }

    /** Returns its place in the tree's heap, as good as random. */
    int priority() {
        long mixed = (iova ^ (iova >>> 29)) * 0x9e3779b97f4a7c15L;
        return (int) (mixed >>> 32) ^ (int) mixed;
    }

    /** Returns the number of bytes, unsigned. */
    long length() {
        return last - iova + 1;
    }

    /** Returns where an IOVA of this area is in its pages. */
    long offsetOf(long address) {
        return offset + (address - iova);
    }
}
