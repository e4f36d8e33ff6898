// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.iommu4j.Prot;
import org.iommu4j.ReservedRegion;
import org.iommu4j.intel.acpi.Dmar;
import org.iommu4j.intel.acpi.RemappingStructure.Rmrr;
import org.iommu4j.intel.acpi.ScopeResolver;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.SystemMemory;

/**
 * The reserved regions of a device, all with every right: Linux's {@code intel_iommu_get_resv_regions}.
 *
 * <p>An ISA bridge has the lowest 16 MiB, for the DMA of floppy disks, as in kernels configured with
 * INTEL_IOMMU_FLOPPY_WA (every x86 kernel; since 6.19 those with floppy support).
 */
final class ReservedRegions {
    /** The addresses of x86 interrupts; the hardware does not translate them. */
    private static final ReservedRegion MSI = new ReservedRegion(0xFEE00000L, 0xFEEFFFFFL, ReservedRegion.Type.MSI);

    /** The addresses that ISA devices reach. */
    private static final ReservedRegion ISA = new ReservedRegion(0, 0xFFFFFF, ReservedRegion.Type.DIRECT_RELAXABLE);

    private static final int CLASS_CODE = 0x08;
    private static final int CLASS_BRIDGE_ISA = 0x0601;
    private static final int CLASS_SERIAL_USB = 0x0c03;
    private static final int BASE_CLASS_UNASSIGNED = 0xff;
    private static final int BASE_CLASS_DISPLAY = 0x03;

    private final List<Rmrr> rmrrs;
    private final ScopeResolver scopes;

    ReservedRegions(Dmar dmar, ScopeResolver scopes) {
        this.rmrrs = dmar.all(Rmrr.class);
        this.scopes = scopes;
    }

    List<ReservedRegion> of(PciFunction function) {
        List<ReservedRegion> regions = new ArrayList<>();
        regions.add(MSI);
        int classCode = classCode(function);
        if (classCode == CLASS_BRIDGE_ISA) {
            regions.add(ISA);
        }
        boolean relaxable = classCode == CLASS_SERIAL_USB || classCode >>> 8 == BASE_CLASS_DISPLAY;
        for (Rmrr rmrr : rmrrs) {
            if (covers(rmrr, function)) {
                regions.add(new ReservedRegion(
                        rmrr.base() & -SystemMemory.FRAME_SIZE,
                        rmrr.limit() | (SystemMemory.FRAME_SIZE - 1),
                        relaxable ? ReservedRegion.Type.DIRECT_RELAXABLE : ReservedRegion.Type.DIRECT,
                        Prot.READ_WRITE));
            }
        }
        return merged(regions);
    }

    /**
     * Returns whether a function's deciding properties are known. Its class decides whether it must keep memory that
     * firmware names, and not every input holds the class. Where the bridge above it is not known, it may be at the end
     * of a path that can't be followed.
     */
    boolean isKnown(PciFunction function) {
        if (!function.placed()
                && rmrrs.stream()
                        .anyMatch(rmrr -> !covers(rmrr, function)
                                && rmrr.scopes().stream()
                                        .anyMatch(scope -> scopes.mayCover(rmrr.segment(), scope, function)))) {
            return false;
        }
        return classCode(function) >>> 8 != BASE_CLASS_UNASSIGNED
                || rmrrs.stream().noneMatch(rmrr -> covers(rmrr, function));
    }

    private boolean covers(Rmrr rmrr, PciFunction function) {
        // Some firmware has an empty range; Linux warns and goes on.
        return Long.compareUnsigned(rmrr.base(), rmrr.limit()) <= 0
                && scopes.covers(rmrr.segment(), rmrr.scopes(), function);
    }

    /** Returns base class and subclass. */
    private static int classCode(PciFunction function) {
        return function.config().read(CLASS_CODE, 4) >>> 16;
    }

    private static List<ReservedRegion> merged(List<ReservedRegion> regions) {
        regions.sort(Comparator.comparing(ReservedRegion::start, Long::compareUnsigned)
                .thenComparing(ReservedRegion::type));
        List<ReservedRegion> merged = new ArrayList<>();
        for (ReservedRegion region : regions) {
            int same = -1;
            for (int i = 0; i < merged.size(); i++) {
                if (merged.get(i).type() == region.type() && merged.get(i).overlaps(region.start(), region.end())) {
                    same = i;
                }
            }
            if (same < 0) {
                merged.add(region);
            } else {
                ReservedRegion earlier = merged.get(same);
                long end = Long.compareUnsigned(earlier.end(), region.end()) >= 0 ? earlier.end() : region.end();
                merged.set(same, new ReservedRegion(earlier.start(), end, region.type(), region.prot()));
            }
        }
        return merged;
    }
}
