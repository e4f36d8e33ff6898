// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import java.util.List;

/**
 * The page sizes, number and ranges of mappings that a container can have. Source: {@code VFIO_IOMMU_GET_INFO}.
 *
 * @param pageSizes bitmap of the page sizes that every domain has: bit n for 2^n bytes
 * @param dmaAvailable the number of further mappings allowed
 * @param iovaRanges the ranges in which mappings may be, in order of address
 */
public record Type1Info(long pageSizes, int dmaAvailable, List<IovaRange> iovaRanges) {
    /** Copies the list. */
    public Type1Info {
        iovaRanges = List.copyOf(iovaRanges);
    }
}
