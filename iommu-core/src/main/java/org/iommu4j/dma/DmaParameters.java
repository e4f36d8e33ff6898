// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.SystemMemory;

/**
 * What a driver and firmware say of a device's DMA.
 *
 * <p>Source: {@code struct device_dma_parameters}, {@code dma_mask}, {@code dev_is_dma_coherent}.
 *
 * @param mask the last address that the device can send, 0xfff at least
 * @param maxSegmentSize the most bytes that the device takes as one segment of a scatter list, at least 1
 * @param segmentBoundary a mask, 0xfff at least: no segment crosses a multiple of it plus one
 * @param coherent whether the device's requests snoop the CPU caches; on x86 they always do
 */
public record DmaParameters(long mask, long maxSegmentSize, long segmentBoundary, boolean coherent) {
    /** A device whose driver has set nothing: 32 bits, segments of 64 KiB, no crossing of 4 GiB, coherent. */
    public static final DmaParameters DEFAULT = new DmaParameters(0xffff_ffffL, 64 << 10, 0xffff_ffffL, true);

    private static final long PAGE_MASK = SystemMemory.FRAME_SIZE - 1;

    /**
     * Checks the masks.
     *
     * @throws IommuException EINVAL when a mask is below a page, a boundary is no mask, or a segment has no byte
     */
    public DmaParameters {
        if (Long.compareUnsigned(mask, PAGE_MASK) < 0) {
            throw new IommuException(Errno.EINVAL, "DMA mask 0x" + Long.toHexString(mask) + ", expected a page");
        }
        if (maxSegmentSize < 1) {
            throw new IommuException(Errno.EINVAL, "segments of " + maxSegmentSize + " bytes, expected 1 at least");
        }
        if ((segmentBoundary & PAGE_MASK) != PAGE_MASK || (segmentBoundary & (segmentBoundary + 1)) != 0) {
            throw new IommuException(
                    Errno.EINVAL,
                    "segment boundary 0x" + Long.toHexString(segmentBoundary)
                            + ", expected 2^n - 1 of a page at least");
        }
    }

    /** Returns these parameters with another mask. */
    public DmaParameters withMask(long newMask) {
        return new DmaParameters(newMask, maxSegmentSize, segmentBoundary, coherent);
    }

    /** Returns these parameters with other limits of a segment. */
    public DmaParameters withSegments(long maxSize, long boundary) {
        return new DmaParameters(mask, maxSize, boundary, coherent);
    }

    /** Returns these parameters for a device whose requests do not snoop the CPU caches. */
    public DmaParameters notCoherent() {
        return new DmaParameters(mask, maxSegmentSize, segmentBoundary, false);
    }
}
