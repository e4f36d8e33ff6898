// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.ReservedRegion;

/** The reserved regions of devices, as core merges and maps them. */
final class ReservedRegions {
    private ReservedRegions() {}

    /**
     * Returns the regions of all devices, sorted. Overlapping regions of one type are merged, with the rights of the
     * first: this list is never used to map.
     */
    static List<ReservedRegion> of(List<IommuDevice> devices) {
        List<ReservedRegion> all = new ArrayList<>();
        for (IommuDevice device : devices) {
            all.addAll(device.reservedRegions());
        }
        all.sort((a, b) -> Long.compareUnsigned(a.start(), b.start()) != 0
                ? Long.compareUnsigned(a.start(), b.start())
                : Comparator.<ReservedRegion.Type>naturalOrder().compare(a.type(), b.type()));
        List<ReservedRegion> merged = new ArrayList<>();
        for (ReservedRegion region : all) {
            int same = lastOverlapping(merged, region);
            if (same < 0) {
                merged.add(region);
            } else if (Long.compareUnsigned(region.end(), merged.get(same).end()) > 0) {
                ReservedRegion first = merged.get(same);
                merged.set(same, new ReservedRegion(first.start(), region.end(), first.type(), first.prot()));
            }
        }
        return List.copyOf(merged);
    }

    /** Returns whether firmware demands that the device always stay mapped one to one. */
    static boolean requireDirect(IommuDevice device) {
        for (ReservedRegion region : device.reservedRegions()) {
            if (region.type() == ReservedRegion.Type.DIRECT) {
                return true;
            }
        }
        return false;
    }

    /**
     * Maps the direct regions of a device one to one with their rights. Skips pages that are already mapped, for an
     * earlier region or for another device of the group.
     *
     * <p>Source: {@code iommu_create_device_direct_mappings}.
     */
    static void mapDirect(IommuDomain domain, IommuDevice device) {
        long page = Long.lowestOneBit(domain.pageSizes());
        for (ReservedRegion region : device.reservedRegions()) {
            if (region.type().mapped()) {
                mapUnmapped(domain, region.start() & -page, region.end() | (page - 1), page, region.prot());
            }
        }
    }

    private static void mapUnmapped(IommuDomain domain, long first, long last, long page, int prot) {
        long pages = ((last - first) >>> Long.numberOfTrailingZeros(page)) + 1;
        long pending = 0;
        for (long i = 0; i < pages; i++) {
            long iova = first + i * page;
            if (domain.translate(iova) == IommuDomain.UNMAPPED) {
                pending++;
            } else if (pending != 0) {
                mapOneToOne(domain, iova - pending * page, pending * page, prot);
                pending = 0;
            }
        }
        if (pending != 0) {
            mapOneToOne(domain, first + (pages - pending) * page, pending * page, prot);
        }
    }

    private static void mapOneToOne(IommuDomain domain, long start, long size, int prot) {
        IommuMapper.map(domain, start, start, size, prot);
    }

    private static int lastOverlapping(List<ReservedRegion> regions, ReservedRegion region) {
        for (int i = regions.size() - 1; i >= 0; i--) {
            if (regions.get(i).type() == region.type() && regions.get(i).overlaps(region.start(), region.end())) {
                return i;
            }
        }
        return -1;
    }
}
