// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.function.LongUnaryOperator;
import org.iommu4j.Prot;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterSpace;

/**
 * VT-d by hand: root, context and PASID tables of either mode, tables of either stage (VT-d 9.1 to 9.8), without a line
 * of driver or unit.
 *
 * @param registerBase of the unit
 * @param firstStage whether the leaves to expect are those of a first stage
 */
public record VtdLeaves(long registerBase, boolean firstStage) implements LeafFormat {
    private static final long FRAME = 0x000f_ffff_ffff_f000L;
    private static final long NO_ENTRY = -1;

    /** Expects second-stage leaves. */
    public VtdLeaves(long registerBase) {
        this(registerBase, false);
    }

    @Override
    public Leaf walk(RegisterSpace registers, LongUnaryOperator memory, PciAddress device, long iova) {
        long entry = entryOf(registers, memory, device);
        if (entry == NO_ENTRY || (memory.applyAsLong(entry) & 1) == 0) {
            return Leaf.NONE;
        }
        return isScalable(registers) ? walkScalable(memory, entry, iova) : walkLegacy(memory, entry, iova);
    }

    private boolean isScalable(RegisterSpace registers) {
        return (rootPointer(registers) & 0x400) != 0;
    }

    private long rootPointer(RegisterSpace registers) {
        return registers.map(registerBase, 0x1000).read64(0x20);
    }

    /** Finds the context entry, or in scalable mode the entry of PASID 0, which requests without one use. */
    private long entryOf(RegisterSpace registers, LongUnaryOperator memory, PciAddress device) {
        boolean scalable = isScalable(registers);
        int function = (device.device() << 3) | device.function();
        long half = scalable ? (function >>> 7) * 8L : 0;
        long root = memory.applyAsLong((rootPointer(registers) & FRAME) + device.bus() * 16L + half);
        if ((root & 1) == 0) {
            return NO_ENTRY;
        }
        if (!scalable) {
            return (root & FRAME) + function * 16L;
        }
        long context = memory.applyAsLong((root & FRAME) + (function & 0x7f) * 32L);
        long directory = (context & 1) == 0 ? 0 : memory.applyAsLong(context & FRAME);
        return (directory & 1) == 0 ? NO_ENTRY : directory & FRAME;
    }

    private static Leaf walkLegacy(LongUnaryOperator memory, long entry, long iova) {
        long low = memory.applyAsLong(entry);
        long high = memory.applyAsLong(entry + 8);
        // Pass-through has no table.
        return (low >>> 2 & 3) == 2
                ? Leaf.NONE
                : walkTable(memory, low & FRAME, (int) (high & 7) + 2, 3, 2, false, iova);
    }

    private static Leaf walkScalable(LongUnaryOperator memory, long entry, long iova) {
        long word0 = memory.applyAsLong(entry);
        long word2 = memory.applyAsLong(entry + 16);
        boolean snoop = (memory.applyAsLong(entry + 8) >>> 24 & 1) != 0;
        return switch ((int) (word0 >>> 6 & 7)) {
            case 1 -> walkTable(memory, word2 & FRAME, (int) (word2 >>> 2 & 3) + 4, 1, 2, snoop, iova);
            case 2 -> walkTable(memory, word0 & FRAME, (int) (word0 >>> 2 & 7) + 2, 3, 2, snoop, iova);
            default -> Leaf.NONE;
        };
    }

    private static Leaf walkTable(
            LongUnaryOperator memory, long top, int levels, int presentMask, int writeMask, boolean snoop, long iova) {
        int level = levels;
        if (iova >>> (12 + 9 * level) != 0) {
            return Leaf.NONE;
        }
        long table = top;
        boolean read = true;
        boolean write = true;
        while (true) {
            int shift = 12 + 9 * (level - 1);
            long at = table + (iova >>> shift & 511) * 8;
            long entry = memory.applyAsLong(at);
            if ((entry & presentMask) == 0) {
                return Leaf.NONE;
            }
            read &= (entry & 1) != 0;
            write &= (entry & writeMask) != 0;
            if (level == 1 || (entry & 0x80) != 0) {
                long size = 1L << shift;
                return new Leaf(
                        entry,
                        size,
                        (entry & FRAME & -size) | (iova & (size - 1)),
                        read,
                        write,
                        snoop || (presentMask == 3 && (entry & 0x800) != 0));
            }
            table = entry & FRAME;
            level--;
        }
    }

    @Override
    public long linuxLeaf(long physicalAddress, long pageSize, int prot, boolean enforced) {
        if (firstStage) {
            // P, U/S and A; R/W and D with writing. Snooping is not a leaf's matter.
            return physicalAddress | 0x25 | ((prot & Prot.WRITE) != 0 ? 0x42 : 0) | (pageSize > 4096 ? 0x80 : 0);
        }
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
