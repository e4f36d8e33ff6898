// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

/**
 * A range of I/O virtual addresses that can be mapped.
 *
 * @param start first byte
 * @param end last byte, inclusive; unsigned, not below {@code start}
 */
public record IovaRange(long start, long end) {
    /** Checks the order. */
    public IovaRange {
        if (Long.compareUnsigned(start, end) > 0) {
            throw new IllegalArgumentException(
                    "range from 0x" + Long.toHexString(start) + " to 0x" + Long.toHexString(end));
        }
    }

    /** Returns whether all of {@code [first, last]} is in this range. */
    public boolean contains(long first, long last) {
        return Long.compareUnsigned(start, first) <= 0 && Long.compareUnsigned(last, end) <= 0;
    }

    /** Returns the range in hexadecimal, as {@code [0x0-0xfedfffff]}. */
    @Override
    public String toString() {
        return "[0x" + Long.toHexString(start) + "-0x" + Long.toHexString(end) + "]";
    }
}
