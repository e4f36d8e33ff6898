// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.function.LongUnaryOperator;
import org.iommu4j.Prot;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterSpace;

/**
 * Leaves of the example's unit: 3 levels, 4 KiB pages, rights in bits 1:0.
 *
 * @param snoopControl whether the unit blocks no-snoop, whatever a leaf has
 */
record MinimalLeaves(long registerBase, boolean snoopControl) implements LeafFormat {
    private static final long PAGE = 4096;
    private static final long ADDRESS = 0x000f_ffff_ffff_f000L;
    private static final int TABLE = 0x08;

    @Override
    public Leaf walk(RegisterSpace registers, LongUnaryOperator memory, PciAddress device, long iova) {
        long devices = registers.map(registerBase, 4096).read64(TABLE);
        long entry = memory.applyAsLong(devices + (long) device.requesterId() * Long.BYTES);
        if ((entry & 3) != 3 || iova >>> 39 != 0) {
            return Leaf.NONE;
        }
        long at = 0;
        for (int shift = 30; shift >= 12; shift -= 9) {
            at = (entry & ADDRESS) + (iova >>> shift & 511) * Long.BYTES;
            entry = memory.applyAsLong(at);
            if (entry == 0) {
                return Leaf.NONE;
            }
        }
        return new Leaf(
                entry,
                PAGE,
                (entry & ADDRESS) | (iova & (PAGE - 1)),
                (entry & Prot.READ) != 0,
                (entry & Prot.WRITE) != 0,
                snoopControl);
    }

    @Override
    public long linuxLeaf(long physicalAddress, long pageSize, int prot, boolean enforced) {
        return physicalAddress | (prot & Prot.READ_WRITE);
    }

    @Override
    public int replicas(long pageSize) {
        return 1;
    }
}
