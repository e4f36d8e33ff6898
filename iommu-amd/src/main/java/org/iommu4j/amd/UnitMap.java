// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.iommu4j.Prot;
import org.iommu4j.ReservedRegion;
import org.iommu4j.amd.AmdRules.HostTablesOff;
import org.iommu4j.amd.acpi.DeviceEntry;
import org.iommu4j.amd.acpi.DeviceRange;
import org.iommu4j.amd.acpi.Ivhd;
import org.iommu4j.amd.acpi.Ivmd;
import org.iommu4j.amd.acpi.Ivrs;
import org.iommu4j.amd.reg.Features;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.SystemMemory;

/**
 * The driver's reading of an IVRS: the blocks that are its units, the unit of each requester, and the requester's
 * reserved memory.
 *
 * <p>Where several blocks describe one unit, Linux chooses the newest supported type of the first unit. Then it uses
 * all blocks of that type.
 */
final class UnitMap {
    /** The HyperTransport range, which old processors do not translate. */
    private static final ReservedRegion HT_RANGE =
            new ReservedRegion(0xfd_0000_0000L, 0xff_ffff_ffffL, ReservedRegion.Type.RESERVED);

    /** The addresses to which writes are interrupts. */
    private static final ReservedRegion MSI_RANGE =
            new ReservedRegion(0xfee0_0000L, 0xfeef_ffffL, ReservedRegion.Type.MSI);

    private final Ivrs ivrs;
    private final List<Ivhd> units = new ArrayList<>();
    private final List<List<DeviceRange>> ranges = new ArrayList<>();
    private final List<String> warnings = new ArrayList<>();

    UnitMap(Ivrs ivrs) {
        this.ivrs = ivrs;
        warnings.addAll(ivrs.warnings());
        int chosen = chosenType(ivrs);
        for (Ivhd block : ivrs.ivhds()) {
            if (block.type() == chosen) {
                units.add(block);
                ranges.add(block.ranges(warnings));
            }
        }
    }

    private static int chosenType(Ivrs ivrs) {
        int chosen = 0;
        for (Ivhd block : ivrs.ivhds()) {
            Ivhd first = ivrs.ivhds().get(0);
            if (block.deviceId() == first.deviceId()
                    && block.segment() == first.segment()
                    && block.type() <= AmdRules.HIGHEST_IVHD_TYPE) {
                chosen = Math.max(chosen, block.type());
            }
        }
        return chosen;
    }

    /** Returns the units' blocks, in the table's order. */
    List<Ivhd> units() {
        return units;
    }

    /** Returns the requester ids that a unit's block names. */
    List<DeviceRange> ranges(int unit) {
        return ranges.get(unit);
    }

    /** Returns warnings about errors and unknown parts of the table. */
    List<String> warnings() {
        return warnings;
    }

    /** Returns the index of the unit that serves a function, or -1. No unit translates for itself. */
    int unitOf(PciAddress address) {
        int found = -1;
        for (int i = 0; i < units.size(); i++) {
            if (units.get(i).segment() == address.segment()) {
                if (units.get(i).deviceId() == address.requesterId()) {
                    return -1;
                }
                if (range(i, address.requesterId()).isPresent()) {
                    found = i;
                }
            }
        }
        return found;
    }

    /** Returns the id that a function's requests carry, or {@link DeviceRange#NO_ALIAS}. */
    int aliasOf(int unit, int requesterId) {
        return range(unit, requesterId).map(DeviceRange::alias).orElse(DeviceRange.NO_ALIAS);
    }

    /** Returns the last entry that names a requester: in Linux it overwrites the earlier ones. */
    private Optional<DeviceRange> range(int unit, int requesterId) {
        DeviceRange found = null;
        for (DeviceRange range : ranges.get(unit)) {
            if (range.contains(requesterId) || range.alias() == requesterId) {
                boolean isAlias = !range.contains(requesterId);
                found = isAlias
                        ? new DeviceRange(requesterId, requesterId, DeviceRange.NO_ALIAS, range.dataSetting())
                        : range;
            }
        }
        return Optional.ofNullable(found);
    }

    /** Returns the highest requester id that is named in a segment. */
    int highestId(int segment) {
        int highest = 0;
        for (int i = 0; i < units.size(); i++) {
            if (units.get(i).segment() == segment) {
                highest = Math.max(highest, units.get(i).deviceId());
                for (DeviceRange range : ranges.get(i)) {
                    highest = Math.max(highest, range.highest());
                }
            }
        }
        return highest;
    }

    /** Returns whether a block covers every function that no other block names. */
    boolean includesAll(int unit) {
        return units.get(unit).entries().stream().anyMatch(entry -> entry.type() == DeviceEntry.ALL);
    }

    /**
     * Returns firmware's image of a unit's extended features, which takes precedence over the register; 0 where there
     * is none.
     *
     * <p>The image exists where IVinfo announces it (EFRSup) and the block has room for it ({@code
     * early_iommu_features_init}). An image of 0 is taken as absent: Linux then reads both registers ({@code
     * late_iommu_features_init}).
     */
    long efrImage(int unit) {
        return (ivrs.ivInfo() & 1) != 0 ? units.get(unit).efrImage() : 0;
    }

    /**
     * Returns the bits common to firmware's images of all units, at least one; 0 where a unit has no image.
     *
     * <p>Source: {@code get_global_efr}, before the registers are read.
     */
    long sharedEfrImage() {
        long shared = -1L;
        for (int i = 0; i < units.size(); i++) {
            shared &= efrImage(i);
        }
        return shared;
    }

    /** Returns whether a block says that its unit has no host tables, as far as the release asks. */
    boolean hostTablesOff(HostTablesOff rule) {
        return switch (rule) {
            case NOT_ASKED -> false;
            case WITH_GA_SUP ->
                units.stream().anyMatch(block -> block.hostTablesOff() && Features.GA_SUP.isSet(block.efrImage()));
            case BY_FIRMWARE -> units.stream().anyMatch(Ivhd::hostTablesOff);
        };
    }

    /** Returns how many bits the addresses of devices have, 64 where firmware does not say: VASize of IVinfo. */
    int addressBits() {
        int bits = (int) (ivrs.ivInfo() >>> 15 & 0x7f);
        return bits == 0 ? 64 : bits;
    }

    /** Returns whether firmware asks that DMA stay remapped until the operating system takes over. */
    boolean preBootProtection() {
        return ivrs.dmaRemappedBeforeBoot();
    }

    /**
     * Returns a function's reserved regions, sorted by start. Overlapping regions of one type with the same rights are
     * merged.
     *
     * <p>Of two overlapping regions with different rights, the one that starts lower is mapped first, and so decides
     * about the overlap. In Linux it is the one that the table lists first.
     */
    List<ReservedRegion> reservedRegions(PciAddress address, boolean htRangeTranslated) {
        List<ReservedRegion> regions = new ArrayList<>();
        for (Ivmd ivmd : ivrs.ivmds()) {
            if (ivmd.segment() == address.segment() && ivmd.covers(address.requesterId())) {
                region(ivmd).ifPresent(regions::add);
            }
        }
        regions.add(MSI_RANGE);
        if (!htRangeTranslated) {
            regions.add(HT_RANGE);
        }
        return merged(regions);
    }

    /**
     * Makes a direct region of a unity or exclusion range.
     *
     * <p>Linux does not program exclusion ranges, since a unit has registers for only one: it maps them like unity
     * ranges with both rights. It rounds both start and size up to whole pages ({@code init_unity_map_range}).
     */
    private static Optional<ReservedRegion> region(Ivmd ivmd) {
        long start = roundUp(ivmd.start());
        long last = start + roundUp(ivmd.size()) - 1;
        if ((!ivmd.unity() && !ivmd.exclusion())
                || ivmd.size() == 0
                || Long.compareUnsigned(start, ivmd.start()) < 0
                || Long.compareUnsigned(last, start) < 0) {
            return Optional.empty();
        }
        int prot = ivmd.exclusion()
                ? Prot.READ_WRITE
                : (ivmd.readable() ? Prot.READ : 0) | (ivmd.writable() ? Prot.WRITE : 0);
        return Optional.of(new ReservedRegion(start, last, ReservedRegion.Type.DIRECT, prot));
    }

    private static long roundUp(long value) {
        return (value + SystemMemory.FRAME_SIZE - 1) & -SystemMemory.FRAME_SIZE;
    }

    private static List<ReservedRegion> merged(List<ReservedRegion> regions) {
        List<ReservedRegion> result = new ArrayList<>();
        Collections.sort(regions, (a, b) -> Long.compareUnsigned(a.start(), b.start()));
        for (ReservedRegion region : regions) {
            int with = -1;
            for (int i = 0; i < result.size(); i++) {
                ReservedRegion other = result.get(i);
                if (other.type() == region.type()
                        && other.prot() == region.prot()
                        && other.overlaps(region.start(), region.end())) {
                    with = i;
                }
            }
            if (with < 0) {
                result.add(region);
            } else {
                ReservedRegion other = result.get(with);
                long end = Long.compareUnsigned(other.end(), region.end()) < 0 ? region.end() : other.end();
                result.set(with, new ReservedRegion(other.start(), end, other.type(), other.prot()));
            }
        }
        return List.copyOf(result);
    }
}
