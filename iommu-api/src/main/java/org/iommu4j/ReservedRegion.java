// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

/**
 * A range of IOVA with a meaning of its own for a device.
 *
 * @param start first byte, 4 KiB aligned
 * @param end last byte, inclusive
 * @param type what the range is
 */
public record ReservedRegion(long start, long end, Type type) {
    /** The kinds of range. Source: {@code enum iommu_resv_type}. */
    public enum Type {
        /** Must stay mapped one to one, always: it forbids blocking the device and so its assignment. */
        DIRECT,
        /** Mapped one to one for the DMA API, may be given up on assignment (USB, graphics). */
        DIRECT_RELAXABLE,
        /** Never to be used as an IOVA. */
        RESERVED,
        /** The hardware's own MSI window, which is not translated. */
        MSI
    }

    /** Checks that the range is not empty, unsigned. */
    public ReservedRegion {
        if (Long.compareUnsigned(start, end) > 0) {
            throw new IllegalArgumentException("reserved region ends before it starts: 0x" + Long.toHexString(start)
                    + " to 0x" + Long.toHexString(end));
        }
    }

    /** Returns whether this range and {@code [first, last]} share a byte. */
    public boolean overlaps(long first, long last) {
        return Long.compareUnsigned(first, end) <= 0 && Long.compareUnsigned(start, last) <= 0;
    }
}
