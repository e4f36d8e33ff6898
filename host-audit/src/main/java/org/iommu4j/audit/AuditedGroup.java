// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.List;
import java.util.Objects;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;

/**
 * Functions that are assigned together or not at all.
 *
 * @param id its number in the host's Linux, or ours where that is not known
 * @param devices its functions
 * @param together why these are not kept apart, as far as their configuration space tells
 * @param viable whether VFIO takes the group as drivers are bound now
 * @param blame the members because of which it does not, or because of which that is not known
 * @param guest what KVM makes of a guest that has all of the group
 * @param noncoherent the members because of which the guest is not coherent
 */
public record AuditedGroup(
        int id,
        List<PciAddress> devices,
        List<Reason> together,
        Answer viable,
        List<Reason> blame,
        Guest guest,
        List<PciAddress> noncoherent) {
    /** Copies the lists. */
    public AuditedGroup {
        Objects.requireNonNull(viable, "viable");
        Objects.requireNonNull(guest, "guest");
        devices = List.copyOf(devices);
        together = List.copyOf(together);
        blame = List.copyOf(blame);
        noncoherent = List.copyOf(noncoherent);
    }
}
