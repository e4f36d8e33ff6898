// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;

/** Refusals of calls about a range of I/O virtual addresses. */
final class Refusal {
    private Refusal() {}

    /** Makes the refusal of a call about {@code size} bytes at {@code iova}. */
    static IommuException of(Errno errno, String what, long iova, long size, String why) {
        return new IommuException(
                errno,
                what + " of 0x" + Long.toHexString(size) + " bytes at IOVA 0x" + Long.toHexString(iova) + ": " + why);
    }

    /** Returns whether a range of at least a byte wraps around; tests its last byte, since the topmost end is 0. */
    static boolean wraps(long start, long size) {
        return Long.compareUnsigned(start + (size - 1), start) < 0;
    }
}
