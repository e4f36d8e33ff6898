// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.function.LongUnaryOperator;
import org.iommu4j.Prot;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterSpace;

/** Leaves of the minimal unit: one table of one level, a word for each 64 KiB. */
record MinimalLeaves(long registerBase) implements LeafFormat {
    private static final long PAGE = 64 << 10;
    private static final long ENTRIES = 1 << 15;

    @Override
    public Leaf walk(RegisterSpace registers, LongUnaryOperator memory, PciAddress device, long iova) {
        long table = registers.map(registerBase, 1 << 19).read64(device.requesterId() * Long.BYTES);
        if (table == 0 || iova < 0 || iova / PAGE >= ENTRIES) {
            return Leaf.NONE;
        }
        long at = table + iova / PAGE * Long.BYTES;
        long entry = memory.applyAsLong(at);
        return entry == 0
                ? Leaf.NONE
                : new Leaf(
                        entry,
                        at,
                        PAGE,
                        (entry & -PAGE) | (iova & (PAGE - 1)),
                        (entry & Prot.READ) != 0,
                        (entry & Prot.WRITE) != 0,
                        false);
    }

    @Override
    public int domainId(RegisterSpace registers, LongUnaryOperator memory, PciAddress device) {
        throw new UnsupportedOperationException("a minimal unit has no domain ids");
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
