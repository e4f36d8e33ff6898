// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import java.util.List;
import java.util.Objects;
import java.util.function.Predicate;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciTopology;

/** The isolation between the functions of a topology, and the groups that follow from it; writes nothing. */
public final class PciIsolation {
    private final PciHierarchy hierarchy;

    private PciIsolation(PciHierarchy hierarchy) {
        this.hierarchy = hierarchy;
    }

    /**
     * Judges a topology by its Access Control Services as they are set now.
     *
     * @throws IllegalArgumentException when a bridge is missing, or a function is below itself
     */
    public static PciIsolation asSet(PciTopology topology) {
        return new PciIsolation(new PciHierarchy(topology));
    }

    /**
     * Judges a topology as if Linux had already found an IOMMU and turned Access Control Services on.
     *
     * @throws IllegalArgumentException when a bridge is missing, or a function is below itself
     */
    public static PciIsolation withAcsOn(PciTopology topology) {
        PciHierarchy hierarchy = new PciHierarchy(topology);
        hierarchy.assumeAcs();
        return new PciIsolation(hierarchy);
    }

    /**
     * Forms the groups.
     *
     * @param translated true for the functions that an IOMMU translates for; others are in no group
     * @return the groups in the order of their first functions
     */
    public List<List<PciAddress>> groups(Predicate<PciAddress> translated) {
        Objects.requireNonNull(translated, "translated");
        return PciGroups.of(hierarchy, translated);
    }

    /** Returns whether requests from below a bridge lose their own id. */
    public boolean takesOverRequests(PciAddress bridge) {
        return node(bridge).takesOverRequests();
    }

    /** Returns whether requests between a function and others must pass the IOMMU, in both directions. */
    public boolean isolates(PciAddress function) {
        return node(function).isolated();
    }

    private PciNode node(PciAddress address) {
        Objects.requireNonNull(address, "address");
        return hierarchy
                .find(address)
                .orElseThrow(() -> new IllegalArgumentException("PCI function " + address + " does not exist"));
    }
}
