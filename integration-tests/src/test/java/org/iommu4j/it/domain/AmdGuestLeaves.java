// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.function.LongUnaryOperator;
import org.iommu4j.Prot;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterSpace;

/**
 * AMD-Vi guest tables by hand: device table entry, GCR3 tables and the processor's page tables (48882 2.2.2.1, 2.2.6),
 * without a line of driver or unit. Requests are those without PASID, which use the tables of PASID 0.
 *
 * @param registerBase of the unit
 */
public record AmdGuestLeaves(long registerBase) implements LeafFormat {
    private static final long FRAME = 0x000f_ffff_ffff_f000L;
    private static final long PRESENT = 1;
    private static final long WRITABLE = 1 << 1;
    private static final long USER = 1 << 2;
    private static final long ACCESSED = 1 << 5;
    private static final long DIRTY = 1 << 6;
    private static final long LARGE = 1 << 7;

    @Override
    public Leaf walk(RegisterSpace registers, LongUnaryOperator memory, PciAddress device, long iova) {
        long entryOfDevice = deviceTableEntry(registers, device);
        long word0 = memory.applyAsLong(entryOfDevice);
        long word1 = memory.applyAsLong(entryOfDevice + 8);
        long word2 = memory.applyAsLong(entryOfDevice + 16);
        // V and TV; GIoV and GV.
        if ((word0 & 3) != 3 || (word0 >>> 54 & 3) != 3) {
            return Leaf.NONE;
        }
        // GCR3TRP: bits 14:12 in 60:58, 30:15 in 95:80, 51:31 in 127:107; GLX in 57:56.
        long table = (word0 >>> 58 & 7) << 12 | (word1 >>> 16 & 0xffff) << 15 | (word1 >>> 43) << 31;
        for (long level = word0 >>> 56 & 3; level >= 0; level--) {
            long root = memory.applyAsLong(table);
            if ((root & PRESENT) == 0) {
                return Leaf.NONE;
            }
            table = root & FRAME;
        }
        // GuestPagingMode in 183:182.
        int levels = 4 + (int) (word2 >>> 54 & 3);
        return walkTable(memory, table, levels, iova);
    }

    private static Leaf walkTable(LongUnaryOperator memory, long top, int levels, long iova) {
        // Addresses of the kernel's half would have a one in each bit above.
        if (iova >>> (11 + 9 * levels) != 0) {
            return Leaf.NONE;
        }
        long table = top;
        boolean user = true;
        boolean write = true;
        for (int level = levels; ; level--) {
            int shift = 12 + 9 * (level - 1);
            long at = table + (iova >>> shift & 511) * 8;
            long entry = memory.applyAsLong(at);
            if ((entry & PRESENT) == 0) {
                return Leaf.NONE;
            }
            user &= (entry & USER) != 0;
            write &= (entry & WRITABLE) != 0;
            if (level == 1 || (entry & LARGE) != 0) {
                long size = 1L << shift;
                return new Leaf(entry, size, (entry & FRAME & -size) | (iova & (size - 1)), user, user && write, false);
            }
            table = entry & FRAME;
        }
    }

    private long deviceTableEntry(RegisterSpace registers, PciAddress device) {
        return (registers.map(registerBase, 0x4000).read64(0) & FRAME) + device.requesterId() * 32L;
    }

    @Override
    public long linuxLeaf(long physicalAddress, long pageSize, int prot, boolean enforced) {
        return physicalAddress
                | PRESENT
                | USER
                | ACCESSED
                | ((prot & Prot.WRITE) != 0 ? WRITABLE | DIRTY : 0)
                | (pageSize > 4096 ? LARGE : 0);
    }

    @Override
    public int replicas(long pageSize) {
        return 1;
    }
}
