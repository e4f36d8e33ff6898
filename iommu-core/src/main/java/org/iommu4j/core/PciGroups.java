// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Predicate;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciTopology;
import org.jspecify.annotations.Nullable;

/**
 * Forms groups of the PCI functions that can't be isolated from each other.
 *
 * <p>Functions are visited in the order of their addresses, as Linux finds them. Each joins the first group that
 * applies:
 * <ol>
 *   <li>a bridge above it takes over its requests, so that they carry one id: the group of that bridge;
 *   <li>a bridge above it, or above that bridge, does not isolate the functions below: the group of that bridge;
 *   <li>it is one of several functions of a device that do not isolate: the group of another of these functions.
 * </ol>
 * Otherwise it gets a group of its own. Groups never merge later. Source: {@code pci_device_group}. The quirks of
 * single devices about isolation are modelled ({@link AcsQuirks}), those about requester ids are not.
 */
public final class PciGroups {
    private final PciHierarchy hierarchy;
    private final Map<PciAddress, List<PciAddress>> groupOf = new HashMap<>();
    private final List<List<PciAddress>> groups = new ArrayList<>();

    private PciGroups(PciHierarchy hierarchy) {
        this.hierarchy = hierarchy;
    }

    /**
     * Forms the groups of a topology from its configuration space as it is now; writes nothing.
     *
     * @param topology the functions
     * @param translated true for the functions that an IOMMU translates for; others are in no group
     * @return the groups in the order of their first functions
     */
    public static List<List<PciAddress>> of(PciTopology topology, Predicate<PciAddress> translated) {
        Objects.requireNonNull(topology, "topology");
        Objects.requireNonNull(translated, "translated");
        return of(new PciHierarchy(topology), translated);
    }

    static List<List<PciAddress>> of(PciHierarchy hierarchy, Predicate<PciAddress> translated) {
        PciGroups groups = new PciGroups(hierarchy);
        for (PciNode node : hierarchy.nodes()) {
            if (translated.test(node.address())) {
                groups.add(node);
            }
        }
        return groups.groups.stream().map(List::copyOf).toList();
    }

    private void add(PciNode node) {
        List<PciAddress> group = existing(node);
        if (group == null) {
            group = new ArrayList<>();
            groups.add(group);
        }
        group.add(node.address());
        groupOf.put(node.address(), group);
    }

    private @Nullable List<PciAddress> existing(PciNode node) {
        // From the function up: the functions that the unit can't distinguish from it ...
        PciNode top = node;
        for (PciNode above = node.bridge(); above != null; above = above.bridge()) {
            if (above.takesOverRequests()) {
                top = above;
                List<PciAddress> group = groupOf.get(above.address());
                if (group != null) {
                    return group;
                }
            }
        }
        // ... then those that reach it without passing the unit ...
        for (PciNode above = top.bridge(); above != null && !above.isolatedUpToRoot(); above = above.bridge()) {
            top = above;
            List<PciAddress> group = groupOf.get(above.address());
            if (group != null) {
                return group;
            }
        }
        // ... then the other functions of its device. Where the way up ended, top stands for all functions below.
        List<PciAddress> group = groupOf.get(top.address());
        return group != null ? group : ofSisters(top);
    }

    private @Nullable List<PciAddress> ofSisters(PciNode node) {
        if (!node.multiFunction() || node.isolated()) {
            return null;
        }
        for (PciNode sister : hierarchy.nodes()) {
            if (sister != node && sister.sameSlot(node) && !sister.isolated()) {
                List<PciAddress> group = groupOf.get(sister.address());
                if (group != null) {
                    return group;
                }
            }
        }
        return null;
    }
}
