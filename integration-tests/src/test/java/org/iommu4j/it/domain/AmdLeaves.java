// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.function.LongUnaryOperator;
import org.iommu4j.Prot;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterSpace;

/**
 * AMD-Vi host tables by hand: device table entry and page tables (48882 2.2.2.1, 2.2.3), without a line of driver or
 * unit.
 *
 * @param registerBase of the unit
 */
public record AmdLeaves(long registerBase) implements LeafFormat {
    private static final long FRAME = 0x000f_ffff_ffff_f000L;
    private static final long PRESENT = 1;
    private static final long FORCE_COHERENT = 1L << 60;
    private static final long READ = 1L << 61;
    private static final long WRITE = 1L << 62;

    @Override
    public Leaf walk(RegisterSpace registers, LongUnaryOperator memory, PciAddress device, long iova) {
        long entryOfDevice = memory.applyAsLong(deviceTableEntry(registers, device));
        int level = (int) (entryOfDevice >>> 9 & 7);
        // V and TV
        if ((entryOfDevice & 3) != 3 || level == 0) {
            return Leaf.NONE;
        }
        boolean read = (entryOfDevice & READ) != 0;
        boolean write = (entryOfDevice & WRITE) != 0;
        long table = entryOfDevice & FRAME;
        if (level < 6 && iova >>> (12 + 9 * level) != 0) {
            return Leaf.NONE;
        }
        while (true) {
            int shift = 12 + 9 * (level - 1);
            long at = table + (iova >>> shift & 511) * 8;
            long entry = memory.applyAsLong(at);
            if ((entry & PRESENT) == 0) {
                return Leaf.NONE;
            }
            read &= (entry & READ) != 0;
            write &= (entry & WRITE) != 0;
            int next = (int) (entry >>> 9 & 7);
            if (next == 0 || next == 7) {
                // NextLevel 7: the lowest clear address bit says that the page is twice as large as that bit.
                long size = next == 0 ? 1L << shift : Long.lowestOneBit(~(entry >>> 12)) << 13;
                return new Leaf(
                        entry,
                        size,
                        (entry & FRAME & -size) | (iova & (size - 1)),
                        read,
                        write,
                        (entry & FORCE_COHERENT) != 0);
            }
            table = entry & FRAME;
            level = next;
        }
    }

    private long deviceTableEntry(RegisterSpace registers, PciAddress device) {
        return (registers.map(registerBase, 0x4000).read64(0) & FRAME) + device.requesterId() * 32L;
    }

    @Override
    public long linuxLeaf(long physicalAddress, long pageSize, int prot, boolean enforced) {
        long entry = physicalAddress
                | PRESENT
                | FORCE_COHERENT
                | ((prot & Prot.READ) != 0 ? READ : 0)
                | ((prot & Prot.WRITE) != 0 ? WRITE : 0);
        return replicas(pageSize) == 1 ? entry : entry | (7 << 9) | ((pageSize / 2 - 1) & ~0xfffL);
    }

    @Override
    public int replicas(long pageSize) {
        long slot = 4096;
        while (slot <= pageSize / 512) {
            slot *= 512;
        }
        return (int) (pageSize / slot);
    }
}
