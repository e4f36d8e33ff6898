// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.SortedSet;
import org.iommu4j.ReservedRegion;
import org.iommu4j.pci.PciAddress;

/**
 * An IOMMU group as the host's own Linux formed it.
 *
 * @param id its number
 * @param members its PCI functions, as far as the inputs list them
 * @param named the names of its devices that are not on PCI, as far as a log lists them
 * @param type the default domain's type as Linux names it ({@code DMA-FQ}, {@code identity}), if an input states it
 * @param reservedRegions what Linux lists under {@code reserved_regions}; empty when no input states them, unlike an
 *     empty list
 */
public record GroupEvidence(
        int id,
        SortedSet<PciAddress> members,
        SortedSet<String> named,
        Optional<Fact<String>> type,
        Optional<Fact<List<ReservedRegion>>> reservedRegions) {
    /** Refuses what is missing. */
    public GroupEvidence {
        Objects.requireNonNull(members, "members");
        Objects.requireNonNull(named, "named");
        Objects.requireNonNull(type, "type");
        Objects.requireNonNull(reservedRegions, "reservedRegions");
    }
}
