// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import java.util.Objects;

/**
 * A range of IOVA with a meaning of its own for a device.
 *
 * <p>Source: {@code struct iommu_resv_region}.
 *
 * @param start first byte, 4 KiB aligned
 * @param end last byte, inclusive
 * @param type what the range is
 * @param prot {@link Prot} bits of the one-to-one mapping, without meaning for a range that is not mapped. Firmware may
 *     give neither READ nor WRITE: no domain has such a mapping
 */
public record ReservedRegion(long start, long end, Type type, int prot) {
    /** The kinds of range. Source: {@code enum iommu_resv_type}. */
    public enum Type {
        /** Must stay mapped one to one, always: it forbids blocking the device and so its assignment. */
        DIRECT,
        /** Mapped one to one for the DMA API, may be given up on assignment (USB, graphics). */
        DIRECT_RELAXABLE,
        /** Never to be used as an IOVA. */
        RESERVED,
        /** The hardware's own MSI window, which is not translated. */
        MSI;

        /** Returns whether the DMA API maps such a range one to one. */
        public boolean mapped() {
            return this == DIRECT || this == DIRECT_RELAXABLE;
        }
    }

    /** Checks that the range is not empty, unsigned. */
    public ReservedRegion {
        Objects.requireNonNull(type, "type");
        if (Long.compareUnsigned(start, end) > 0) {
            throw new IllegalArgumentException("reserved region ends before it starts: 0x" + Long.toHexString(start)
                    + " to 0x" + Long.toHexString(end));
        }
    }

    /** Makes a range with the usual rights: read and write where it is mapped, else none. */
    public ReservedRegion(long start, long end, Type type) {
        this(start, end, type, type.mapped() ? Prot.READ_WRITE : 0);
    }

    /** Returns whether this range and {@code [first, last]} share a byte. */
    public boolean overlaps(long first, long last) {
        return Long.compareUnsigned(first, end) <= 0 && Long.compareUnsigned(start, last) <= 0;
    }
}
