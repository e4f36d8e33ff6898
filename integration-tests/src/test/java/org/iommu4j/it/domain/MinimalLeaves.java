// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.function.LongUnaryOperator;
import org.iommu4j.Prot;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterSpace;

/**
 * Leaves of the example's unit: 2 levels, 4 KiB pages, rights in bits 1:0.
 *
 * @param snoopControl whether the unit blocks no-snoop, whatever a leaf has
 */
record MinimalLeaves(long registerBase, boolean snoopControl) implements LeafFormat {
    private static final long PAGE = 4096;
    private static final long ADDRESS = 0xff_ffff_f000L;
    private static final int TABLE = 0x08;

    @Override
    public Leaf walk(RegisterSpace registers, LongUnaryOperator memory, PciAddress device, long iova) {
        long devices = registers.map(registerBase, 4096).read64(TABLE);
        long entry = memory.applyAsLong(devices + (long) device.requesterId() * Long.BYTES);
        if ((entry & 3) != 2 || iova >>> 32 != 0) {
            return Leaf.NONE;
        }
        long upper = memory.applyAsLong((entry & ADDRESS) + (iova >>> 21) * Long.BYTES);
        long leaf = upper == 0 ? 0 : memory.applyAsLong((upper & ADDRESS) + (iova >>> 12 & 511) * Long.BYTES);
        if (leaf == 0) {
            return Leaf.NONE;
        }
        return new Leaf(
                leaf,
                PAGE,
                (leaf & ADDRESS) | (iova & (PAGE - 1)),
                (leaf & Prot.READ) != 0,
                (leaf & Prot.WRITE) != 0,
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
