// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.function.LongUnaryOperator;
import org.iommu4j.Prot;
import org.iommu4j.platform.PciAddress;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;

/**
 * VT-d by hand: root, context and PASID tables of either mode, tables of either stage (VT-d 9.1 to 9.8), without a line of
 * driver or unit.
 *
 * @param registerBase of the unit
 * @param firstStage whether the leaves to expect are those of a first stage
 */
public record VtdLeaves(long registerBase, boolean firstStage) implements LeafFormat {
    private static final long FRAME = 0x000f_ffff_ffff_f000L;

    /** Expects second-stage leaves. */
    public VtdLeaves(long registerBase) {
        this(registerBase, false);
    }

    @Override
    public Leaf walk(RegisterSpace registers, LongUnaryOperator memory, PciAddress device, long iova) {
        RegisterWindow window = registers.map(registerBase, 0x1000);
        long pointer = window.read64(0x20);
        long rootEntry = (pointer & FRAME) + device.bus() * 16L;
        int function = (device.device() << 3) | device.function();
        return (pointer & 0x400) != 0
                ? walkScalable(memory, rootEntry, function, iova)
                : walkLegacy(memory, rootEntry, function, iova);
    }

    private static Leaf walkLegacy(LongUnaryOperator memory, long rootEntry, int function, long iova) {
        long root = memory.applyAsLong(rootEntry);
        if ((root & 1) == 0) {
            return Leaf.NONE;
        }
        long context = (root & FRAME) + function * 16L;
        long low = memory.applyAsLong(context);
        long high = memory.applyAsLong(context + 8);
        if ((low & 1) == 0 || (low >>> 2 & 3) == 2) {
            return Leaf.NONE;
        }
        return walkTable(memory, low & FRAME, (int) (high & 7) + 2, 3, 2, false, iova);
    }

    /** By the entry of PASID 0, which requests without one use. */
    private static Leaf walkScalable(LongUnaryOperator memory, long rootEntry, int function, long iova) {
        long root = memory.applyAsLong(rootEntry + (function >>> 7) * 8L);
        if ((root & 1) == 0) {
            return Leaf.NONE;
        }
        long context = memory.applyAsLong((root & FRAME) + (function & 0x7f) * 32L);
        long directory = (context & 1) == 0 ? 0 : memory.applyAsLong(context & FRAME);
        if ((directory & 1) == 0) {
            return Leaf.NONE;
        }
        long entry = directory & FRAME;
        long word0 = memory.applyAsLong(entry);
        long word2 = memory.applyAsLong(entry + 16);
        boolean snoop = (memory.applyAsLong(entry + 8) >>> 24 & 1) != 0;
        if ((word0 & 1) == 0) {
            return Leaf.NONE;
        }
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
                        at,
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
