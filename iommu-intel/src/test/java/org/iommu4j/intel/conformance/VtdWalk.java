// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.conformance;

import java.util.function.LongUnaryOperator;
import org.iommu4j.IommuDomain;
import org.iommu4j.device.DeviceId;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.tck.TableWalk;

/**
 * VT-d's walk for requests without PASID, by numbers of the manual: 9.1 to 9.8 and 11.4.5. It shares no layout with
 * driver and silicon.
 */
final class VtdWalk implements TableWalk {
    private static final int RTADDR = 0x20;
    private static final long ADDRESS = 0x000f_ffff_ffff_f000L;
    private static final int FIRST_STAGE = 1;
    private static final int SECOND_STAGE = 2;

    @Override
    public long translate(RegisterWindow registers, LongUnaryOperator memory, DeviceId device, long iova) {
        long rootTable = registers.read64(RTADDR);
        int id = ((PciAddress) device).requesterId();
        long root = (rootTable & ADDRESS) + (id >>> 8) * 16L;
        boolean scalable = (rootTable >>> 10 & 3) == 1;
        return scalable ? scalable(memory, root, id & 0xff, iova) : legacy(memory, root, id & 0xff, iova);
    }

    private static long legacy(LongUnaryOperator memory, long root, int devfn, long iova) {
        long contexts = memory.applyAsLong(root);
        if ((contexts & 1) == 0) {
            return IommuDomain.UNMAPPED;
        }
        long context = (contexts & ADDRESS) + devfn * 16L;
        long low = memory.applyAsLong(context);
        if ((low & 1) == 0) {
            return IommuDomain.UNMAPPED;
        }
        int type = (int) (low >>> 2) & 3;
        int levels = (int) (memory.applyAsLong(context + 8) & 7) + 2;
        return type == 2 ? iova : walk(memory, low & ADDRESS, levels, SECOND_STAGE, iova);
    }

    private static long scalable(LongUnaryOperator memory, long root, int devfn, long iova) {
        long contexts = memory.applyAsLong(root + (devfn >>> 7) * 8L);
        if ((contexts & 1) == 0) {
            return IommuDomain.UNMAPPED;
        }
        long context = (contexts & ADDRESS) + (devfn & 0x7f) * 32L;
        long low = memory.applyAsLong(context);
        if ((low & 1) == 0) {
            return IommuDomain.UNMAPPED;
        }
        int pasid = (int) memory.applyAsLong(context + 8) & 0xfffff;
        long table = memory.applyAsLong((low & ADDRESS) + (pasid >>> 6) * 8L);
        if ((table & 1) == 0) {
            return IommuDomain.UNMAPPED;
        }
        long entry = (table & ADDRESS) + (pasid & 63) * 64L;
        long first = memory.applyAsLong(entry);
        if ((first & 1) == 0) {
            return IommuDomain.UNMAPPED;
        }
        int type = (int) (first >>> 6) & 7;
        if (type == 4) {
            return iova;
        }
        if (type == SECOND_STAGE) {
            return walk(memory, first & ADDRESS, (int) (first >>> 2 & 7) + 2, SECOND_STAGE, iova);
        }
        long third = memory.applyAsLong(entry + 16);
        return walk(memory, third & ADDRESS, (third >>> 2 & 3) == 1 ? 5 : 4, FIRST_STAGE, iova);
    }

    private static long walk(LongUnaryOperator memory, long table, int levels, int stage, long iova) {
        int width = 12 + 9 * levels;
        // A first stage takes canonical addresses, of which those that are tried have a 0 on top.
        if (iova >>> (stage == FIRST_STAGE ? width - 1 : width) != 0) {
            return IommuDomain.UNMAPPED;
        }
        long at = table;
        for (int level = levels; level > 0; level--) {
            int shift = 12 + 9 * (level - 1);
            long entry = memory.applyAsLong(at + (iova >>> shift & 511) * 8);
            if ((entry & (stage == FIRST_STAGE ? 1 : 3)) == 0) {
                return IommuDomain.UNMAPPED;
            }
            if (level == 1 || (entry & 1 << 7) != 0) {
                long offset = (1L << shift) - 1;
                return entry & ADDRESS & ~offset | iova & offset;
            }
            at = entry & ADDRESS;
        }
        throw new IllegalStateException("a walk ends at level 1");
    }
}
