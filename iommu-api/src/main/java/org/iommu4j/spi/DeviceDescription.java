// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.List;
import java.util.Objects;
import org.iommu4j.ReservedRegion;
import org.iommu4j.device.DeviceId;
import org.jspecify.annotations.Nullable;

/**
 * A device as its vendor's tables see it.
 *
 * @param id its address on PCI, or its name
 * @param translated whether a unit translates for it
 * @param unit the id of that unit, or null when none does or none is known
 * @param candidates the ids of the units that may translate for it, the one that does alone where it is known; empty
 *     where none does, nothing is known, or the vendor ignores that a function's place may be unknown
 * @param enforceCacheCoherency whether a domain of this device alone can block no-snoop, if a unit translates for it
 * @param reasons why, the deciding one first
 * @param reservedRegions its reserved regions, sorted by start, or null when no table tells
 * @param isolatedInterrupts whether the hardware can keep its interrupts to its own vectors
 */
public record DeviceDescription(
        DeviceId id,
        Answer translated,
        @Nullable String unit,
        List<String> candidates,
        Answer enforceCacheCoherency,
        List<Reason> reasons,
        @Nullable List<ReservedRegion> reservedRegions,
        Answer isolatedInterrupts) {
    /** Copies the lists. */
    public DeviceDescription {
        Objects.requireNonNull(id, "id");
        Objects.requireNonNull(translated, "translated");
        Objects.requireNonNull(enforceCacheCoherency, "enforceCacheCoherency");
        Objects.requireNonNull(isolatedInterrupts, "isolatedInterrupts");
        candidates = List.copyOf(candidates);
        reasons = List.copyOf(reasons);
        reservedRegions = reservedRegions == null ? null : List.copyOf(reservedRegions);
    }

    /** Makes a description without candidates: the place of the device is known, or the vendor ignores it. */
    public DeviceDescription(
            DeviceId id,
            Answer translated,
            @Nullable String unit,
            Answer enforceCacheCoherency,
            List<Reason> reasons,
            @Nullable List<ReservedRegion> reservedRegions,
            Answer isolatedInterrupts) {
        this(id, translated, unit, List.of(), enforceCacheCoherency, reasons, reservedRegions, isolatedInterrupts);
    }
}
