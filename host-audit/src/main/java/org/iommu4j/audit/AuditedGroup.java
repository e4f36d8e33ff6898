// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.jspecify.annotations.Nullable;

/**
 * Functions that are assigned together or not at all.
 *
 * @param id its number in the host's Linux, or ours where that is unknown
 * @param devices its functions
 * @param named the names of its devices that are not on PCI; there are no answers for them
 * @param together why they are not isolated from each other, as far as their configuration space shows
 * @param doubt why its isolation from other groups is not real, or null where nothing is against it
 * @param viable whether VFIO accepts the group with the drivers that are bound now
 * @param blame why VFIO refuses it, or why that is unknown, one reason for each such member
 * @param guest how KVM treats the DMA of a guest with the whole group
 * @param noncoherent the members that make the guest non-coherent
 */
public record AuditedGroup(
        int id,
        List<PciAddress> devices,
        List<String> named,
        List<Reason> together,
        @Nullable Reason doubt,
        Answer viable,
        List<Reason> blame,
        Guest guest,
        List<PciAddress> noncoherent) {
    /** Copies the lists. */
    public AuditedGroup {
        Objects.requireNonNull(viable, "viable");
        Objects.requireNonNull(guest, "guest");
        devices = List.copyOf(devices);
        named = List.copyOf(named);
        together = List.copyOf(together);
        blame = List.copyOf(blame);
        noncoherent = List.copyOf(noncoherent);
    }

    /** Returns its functions and other devices, commas between them. */
    public String inWords() {
        return Stream.concat(devices.stream().map(PciAddress::toString), named.stream())
                .collect(Collectors.joining(", "));
    }

    /** Returns whether VFIO accepts it with the drivers that are bound now, for people. */
    public String viableInWords() {
        return switch (viable) {
            case YES -> "VFIO accepts it as it is now";
            case NO -> "VFIO refuses it as it is now";
            case UNKNOWN -> "whether VFIO accepts it as it is now is unknown";
        };
    }
}
