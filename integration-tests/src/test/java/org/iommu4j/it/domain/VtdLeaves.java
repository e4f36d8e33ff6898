// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.function.LongUnaryOperator;
import org.iommu4j.Prot;
import org.iommu4j.platform.PciAddress;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;

/**
 * VT-d legacy mode by hand: root table, context table, second-stage tables (VT-d 9.1, 9.3, 9.8), without a line of driver or
 * unit.
 *
 * @param registerBase of the unit
 */
public record VtdLeaves(long registerBase) implements LeafFormat {
    private static final long FRAME = 0x000f_ffff_ffff_f000L;

    @Override
    public Leaf walk(RegisterSpace registers, LongUnaryOperator memory, PciAddress device, long iova) {
        RegisterWindow window = registers.map(registerBase, 0x1000);
        long rootTable = window.read64(0x20) & FRAME;
        long rootEntry = memory.applyAsLong(rootTable + device.bus() * 16L);
        if ((rootEntry & 1) == 0) {
            return Leaf.NONE;
        }
        long context = (rootEntry & FRAME) + ((device.device() << 3) | device.function()) * 16L;
        long low = memory.applyAsLong(context);
        long high = memory.applyAsLong(context + 8);
        if ((low & 1) == 0 || (low >>> 2 & 3) == 2) {
            return Leaf.NONE;
        }
        int level = (int) (high & 7) + 2;
        if (iova >>> (12 + 9 * level) != 0) {
            return Leaf.NONE;
        }
        long table = low & FRAME;
        boolean read = true;
        boolean write = true;
        while (true) {
            int shift = 12 + 9 * (level - 1);
            long at = table + (iova >>> shift & 511) * 8;
            long entry = memory.applyAsLong(at);
            if ((entry & 3) == 0) {
                return Leaf.NONE;
            }
            read &= (entry & 1) != 0;
            write &= (entry & 2) != 0;
            if (level == 1 || (entry & 0x80) != 0) {
                long size = 1L << shift;
                return new Leaf(
                        entry,
                        at,
                        size,
                        (entry & FRAME & -size) | (iova & (size - 1)),
                        read,
                        write,
                        (entry & 0x800) != 0);
            }
            table = entry & FRAME;
            level--;
        }
    }

    @Override
    public long linuxLeaf(long physicalAddress, long pageSize, int prot, boolean enforced) {
        return physicalAddress
                | ((prot & Prot.READ) != 0 ? 1 : 0)
                | ((prot & Prot.WRITE) != 0 ? 2 : 0)
                | (pageSize > 4096 ? 0x80 : 0)
                | (enforced ? 0x800 : 0);
    }

    @Override
    public int replicas(long pageSize) {
        return 1;
    }
}
