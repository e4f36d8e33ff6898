// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.ArrayList;
import java.util.List;
import java.util.function.LongUnaryOperator;
import org.iommu4j.IommuDomain;
import org.iommu4j.device.DeviceId;
import org.iommu4j.it.tck.Interposer.Change;
import org.iommu4j.it.tck.Interposer.Handler;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.spi.Fabric;

/** Drivers whose silicon is wrong in the same way: what only a witness apart from both can see. */
final class WalkSaboteurs {
    private static final long ADDRESS = 0x000f_ffff_ffff_f000L;

    private WalkSaboteurs() {}

    static List<Saboteur> all() {
        Handler elsewhere = call -> call.with(0, swapped(call.number(0))).proceed();
        List<Change> changes = new ArrayList<>();
        for (String method : List.of(
                "load", "store", "compareAndSet", "storeRun", "leadingClear", "leadingSet", "writeBack")) {
            changes.add(new Change(SystemMemory.class, method, elsewhere));
        }
        for (String method :
                List.of("isMemory", "status", "isUnreadable", "read", "write", "write32", "compareAndSet")) {
            changes.add(new Change(Fabric.class, method, elsewhere));
        }
        return List.of(Saboteur.of(
                        "translate-2", "has each table in the frame beside it, and so has the unit", () -> changes)
                .where(traits -> traits.walk().isPresent()));
    }

    /** Swaps neighbouring frames of the kernel's half of memory. */
    private static long swapped(long physicalAddress) {
        return Long.compareUnsigned(physicalAddress, BuiltInTopology.MEMORY_BYTES / 2) < 0
                ? physicalAddress ^ 0x1000
                : physicalAddress;
    }

    /** Walks VT-d's tables of legacy mode with 4 levels: 9.1, 9.3 and 9.8. */
    static long walk(RegisterWindow registers, LongUnaryOperator memory, DeviceId device, long iova) {
        int id = ((PciAddress) device).requesterId();
        long contexts = memory.applyAsLong((registers.read64(0x20) & ADDRESS) + (id >>> 8) * 16L);
        long context = (contexts & 1) == 0 ? 0 : memory.applyAsLong((contexts & ADDRESS) + (id & 0xff) * 16L);
        if ((context & 1) == 0 || iova >>> 48 != 0) {
            return IommuDomain.UNMAPPED;
        }
        long entry = context;
        for (int shift = 39; shift >= 12; shift -= 9) {
            entry = memory.applyAsLong((entry & ADDRESS) + (iova >>> shift & 511) * 8);
            if ((entry & 3) == 0) {
                return IommuDomain.UNMAPPED;
            }
            if (shift == 12 || (entry & 1 << 7) != 0) {
                long offset = (1L << shift) - 1;
                return entry & ADDRESS & ~offset | iova & offset;
            }
        }
        throw new IllegalStateException("a walk ends at level 1");
    }
}
