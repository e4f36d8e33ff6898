// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import java.util.List;

/**
 * What a container can map, and what else it says of itself. Source: {@code struct vfio_iommu_type1_info} and its
 * capabilities.
 *
 * @param argsz bytes: those that the caller had, or all that are needed where these were too few for the capabilities
 * @param flags {@link #PAGE_SIZES} and {@link #CAPABILITIES}
 * @param pageSizes bitmap of the page sizes that every domain has: bit n for 2^n bytes
 * @param capabilityOffset where the capabilities begin; 0 where there was no room, and all that follows is 0 or empty
 * @param dmaAvailable the number of further mappings allowed
 * @param iovaRanges the ranges in which mappings may be, in order of address; empty where any may be
 * @param dirtyPageSize the size of the page of which it is known if it was written, in bytes
 * @param maxDirtyBitmapBytes the largest bitmap of written pages
 */
public record Type1Info(
        int argsz,
        int flags,
        long pageSizes,
        int capabilityOffset,
        int dmaAvailable,
        List<IovaRange> iovaRanges,
        long dirtyPageSize,
        long maxDirtyBitmapBytes) {
    /** The page sizes are told. */
    public static final int PAGE_SIZES = 1;

    /** There are capabilities. */
    public static final int CAPABILITIES = 1 << 1;

    /** Bytes of the structure up to the page sizes, without which it is refused. */
    public static final int MIN_SIZE = 16;

    /** Bytes of the structure before its capabilities. */
    public static final int SIZE = 24;

    private static final int MIGRATION_BYTES = 32;
    private static final int AVAILABLE_BYTES = 12;
    private static final int RANGES_BYTES = 16;
    private static final int RANGE_BYTES = 16;

    /** Copies the list. */
    public Type1Info {
        iovaRanges = List.copyOf(iovaRanges);
    }

    /** Returns the answer that fits into its bytes: without the capabilities, where these are too few. */
    Type1Info within(boolean aligned) {
        int needed = SIZE + MIGRATION_BYTES + (aligned ? align8(AVAILABLE_BYTES) : AVAILABLE_BYTES);
        if (!iovaRanges.isEmpty()) {
            needed += RANGES_BYTES + RANGE_BYTES * iovaRanges.size();
        }
        return Integer.compareUnsigned(argsz, needed) < 0
                ? new Type1Info(needed, flags, pageSizes, 0, 0, List.of(), 0, 0)
                : this;
    }

    private static int align8(int bytes) {
        return (bytes + 7) & ~7;
    }
}
