// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import org.iommu4j.IommuDomain;
import org.iommu4j.tck.Bench;

/**
 * Where a page of some size can be mapped, and which of its bytes lead to the memory that tests use.
 *
 * <p>A page may be larger than all memory: then it begins below the scratch memory, and that is in its middle.
 *
 * @param iova of the page's first byte
 * @param physicalAddress of the page's first byte
 * @param offset of the scratch memory in the page, in bytes
 */
record Spot(long iova, long physicalAddress, long offset) {
    /** Returns a place for pages of a size: room for many of most sizes, for one of the largest. */
    static Spot of(Bench bench, IommuDomain domain, long size) {
        long physical = bench.scratch() & -size;
        long offset = bench.scratch() - physical;
        if ((bench.iova() & (size - 1)) == 0 && Long.compareUnsigned(bench.iova(), domain.apertureEnd() - size) < 0) {
            return new Spot(bench.iova(), physical, offset);
        }
        boolean second = Long.compareUnsigned(size - 1, domain.apertureEnd() - size) <= 0;
        return new Spot(second ? size : 0, physical, offset);
    }

    /** Returns how many bytes of a page lead to scratch memory. */
    long reachable(Bench bench, long size) {
        return Math.min(size - offset, bench.subject().machine().memoryBytes() - bench.scratch());
    }
}
