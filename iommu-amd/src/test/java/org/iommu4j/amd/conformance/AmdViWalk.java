// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.conformance;

import java.util.function.LongUnaryOperator;
import org.iommu4j.IommuDomain;
import org.iommu4j.device.DeviceId;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.tck.TableWalk;

/**
 * AMD-Vi's walk for requests without PASID, by numbers of the manual: 48882 2.2.2 to 2.2.6 and 3.4.1. It shares no
 * layout with driver and silicon.
 */
final class AmdViWalk implements TableWalk {
    private static final long ADDRESS = 0x000f_ffff_ffff_f000L;

    /** V and TV. */
    private static final int VALID = 3;

    private static final long READABLE = 1L << 61;

    /** GIoV and GV. */
    private static final long GUEST = 3L << 54;

    @Override
    public long translate(RegisterWindow registers, LongUnaryOperator memory, DeviceId device, long iova) {
        long table = registers.read64(0) & ADDRESS;
        long entry = table + ((PciAddress) device).requesterId() * 32L;
        long word0 = memory.applyAsLong(entry);
        if ((word0 & VALID) != VALID || (word0 & READABLE) == 0) {
            return IommuDomain.UNMAPPED;
        }
        if ((word0 & GUEST) == GUEST) {
            return guest(memory, entry, word0, iova);
        }
        int mode = (int) (word0 >>> 9) & 7;
        return mode == 0 ? iova : host(memory, word0 & ADDRESS, mode, iova);
    }

    private static long host(LongUnaryOperator memory, long root, int mode, long iova) {
        long at = root;
        int level = mode;
        if (level < 6 && iova >>> (12 + 9 * level) != 0) {
            return IommuDomain.UNMAPPED;
        }
        while (true) {
            int shift = 12 + 9 * (level - 1);
            long entry = memory.applyAsLong(at + (iova >>> shift & 511) * 8);
            if ((entry & 1) == 0 || (entry & READABLE) == 0) {
                return IommuDomain.UNMAPPED;
            }
            int next = (int) (entry >>> 9) & 7;
            if (next == 0 || next == 7) {
                // Level 7: the lowest 0 of the address, from bit 12 on, is half the page's size.
                long size = next == 0 ? 1L << shift : Long.lowestOneBit(~(entry & ADDRESS | 0xfff)) << 1;
                return entry & ADDRESS & -size | iova & (size - 1);
            }
            int skipped = 12 + 9 * next;
            if (next < level - 1 && (iova & (1L << shift) - (1L << skipped)) != 0) {
                return IommuDomain.UNMAPPED;
            }
            level = next;
            at = entry & ADDRESS;
        }
    }

    /** Requests without PASID use the guest table of PASID 0. */
    private static long guest(LongUnaryOperator memory, long entry, long word0, long iova) {
        long word1 = memory.applyAsLong(entry + 8);
        long at = (word0 >>> 58 & 7) << 12 | (word1 >>> 16 & 0xffff) << 15 | (word1 >>> 43) << 31;
        for (int level = (int) (word0 >>> 56) & 3; level >= 0; level--) {
            long pointer = memory.applyAsLong(at);
            if ((pointer & 1) == 0) {
                return IommuDomain.UNMAPPED;
            }
            at = pointer & ADDRESS;
        }
        int levels = (memory.applyAsLong(entry + 16) >>> 54 & 3) == 1 ? 5 : 4;
        if (iova >>> (11 + 9 * levels) != 0) {
            return IommuDomain.UNMAPPED;
        }
        for (int level = levels; level > 0; level--) {
            int shift = 12 + 9 * (level - 1);
            long next = memory.applyAsLong(at + (iova >>> shift & 511) * 8);
            if ((next & 1) == 0) {
                return IommuDomain.UNMAPPED;
            }
            if (level == 1 || (next & 1 << 7) != 0) {
                long offset = (1L << shift) - 1;
                return next & ADDRESS & ~offset | iova & offset;
            }
            at = next & ADDRESS;
        }
        throw new IllegalStateException("a walk ends at level 1");
    }
}
