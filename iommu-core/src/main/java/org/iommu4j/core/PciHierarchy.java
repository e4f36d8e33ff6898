// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.iommu4j.device.DeviceId;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;

/** The functions of a topology with their bridges, in the order of their addresses. */
final class PciHierarchy {
    private final Map<PciAddress, PciNode> nodes = new LinkedHashMap<>();

    /**
     * Reads a topology.
     *
     * @throws IllegalArgumentException when a bridge is missing, or a function is below itself
     */
    PciHierarchy(PciTopology topology) {
        Map<PciAddress, PciFunction> functions = new TreeMap<>();
        for (PciFunction function : topology.functions()) {
            functions.put(function.address(), function);
        }
        Map<PciAddress, PciNode> made = new LinkedHashMap<>();
        for (PciFunction function : functions.values()) {
            nodes.put(function.address(), node(function, functions, made, 0));
        }
    }

    /** Returns all functions in the order of their addresses. */
    List<PciNode> nodes() {
        return List.copyOf(nodes.values());
    }

    Optional<PciNode> find(PciAddress address) {
        return Optional.ofNullable(nodes.get(address));
    }

    /** Returns the physical function of a virtual one, the latter itself where the former is not known; else empty. */
    Optional<PciFunction> physicalFunction(DeviceId id) {
        if (!(id instanceof PciAddress address)) {
            return Optional.empty();
        }
        return find(address)
                .map(PciNode::function)
                .flatMap(function -> function.physicalFunction()
                        .map(physical -> find(physical).map(PciNode::function).orElse(function)));
    }

    /** Turns on Access Control Services in all functions that have them, as Linux does once it has found an IOMMU. */
    void enableAcs() {
        nodes.values().forEach(PciNode::enableAcs);
    }

    /** Makes later answers assume that {@link #enableAcs} was called; writes nothing. */
    void assumeAcs() {
        nodes.values().forEach(PciNode::assumeAcs);
    }

    private static PciNode node(
            PciFunction function, Map<PciAddress, PciFunction> functions, Map<PciAddress, PciNode> made, int depth) {
        PciNode known = made.get(function.address());
        if (known != null) {
            return known;
        }
        if (depth > functions.size()) {
            throw new IllegalArgumentException("PCI function " + function.address() + " is below itself");
        }
        PciNode bridge = null;
        if (function.upstreamBridge().isPresent()) {
            PciAddress above = function.upstreamBridge().get();
            PciFunction upstream = functions.get(above);
            if (upstream == null) {
                throw new IllegalArgumentException(
                        "PCI function " + function.address() + " is below " + above + ", which does not exist");
            }
            bridge = node(upstream, functions, made, depth + 1);
        }
        PciNode node = new PciNode(function, bridge);
        made.put(function.address(), node);
        return node;
    }
}
