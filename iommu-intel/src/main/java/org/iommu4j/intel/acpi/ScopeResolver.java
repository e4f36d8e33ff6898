// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.acpi;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;
import org.jspecify.annotations.Nullable;

/**
 * Finds the functions that device scopes name.
 *
 * <p>A path is followed as the specification demands, from its start bus through each bridge's secondary bus. So it is
 * valid whatever the bus numbers are.
 */
public final class ScopeResolver {
    private static final int SUBORDINATE_BUS = 0x1a;

    private final Map<PciAddress, PciFunction> functions = new HashMap<>();
    private final Map<PciAddress, Integer> secondaryBuses = new HashMap<>();

    /** Takes a snapshot of a topology. */
    public ScopeResolver(PciTopology topology) {
        for (PciFunction function : topology.functions()) {
            functions.put(function.address(), function);
            function.upstreamBridge()
                    .ifPresent(bridge -> secondaryBuses.putIfAbsent(
                            bridge, function.address().bus()));
        }
    }

    /** Returns the function or bridge at the end of a scope's path, empty when the topology has none there. */
    public Optional<PciAddress> resolve(int segment, DeviceScope scope) {
        int bus = scope.startBus();
        for (int i = 0; ; i++) {
            DeviceScope.Hop hop = scope.path().get(i);
            if (hop.device() > 0x1f || hop.function() > 7) {
                return Optional.empty();
            }
            PciAddress address = new PciAddress(segment, bus, hop.device(), hop.function());
            PciFunction function = functions.get(address);
            if (function == null) {
                return Optional.empty();
            }
            if (i == scope.path().size() - 1) {
                return Optional.of(address);
            }
            bus = secondaryBus(function);
            if (bus <= 0) {
                return Optional.empty();
            }
        }
    }

    /** Returns the function at the end of a scope's path, empty when the topology has none there. */
    public Optional<PciFunction> find(int segment, DeviceScope scope) {
        return resolve(segment, scope).map(functions::get);
    }

    /** Returns whether a scope's path can't be followed because a bridge on it is unknown. */
    public boolean isObscure(int segment, DeviceScope scope) {
        for (int hops = 1; hops < scope.path().size(); hops++) {
            Optional<PciFunction> bridge = find(segment, scope.upTo(hops));
            if (bridge.isPresent() && bridge.get().config().size() == 0) {
                return true;
            }
        }
        return false;
    }

    /** Returns whether a scope names a function itself, or a bridge above it. */
    public boolean covers(int segment, DeviceScope scope, PciFunction function) {
        if (!scope.isPci() || function.address().segment() != segment) {
            return false;
        }
        PciAddress named = resolve(segment, scope).orElse(null);
        if (named == null) {
            return false;
        }
        if (named.equals(function.address())) {
            return true;
        }
        return scope.type() == DeviceScope.BRIDGE && isBelow(function, named);
    }

    /**
     * Returns whether a scope may name a function, or a bridge above it, as far as buses of bridges are known. So it
     * does where {@link #covers} says so.
     */
    public boolean mayCover(int segment, DeviceScope scope, PciFunction function) {
        if (covers(segment, scope, function)) {
            return true;
        }
        if (!scope.isPci() || function.placed() || function.address().segment() != segment) {
            return false;
        }
        Optional<PciFunction> named = find(segment, scope);
        if (scope.type() == DeviceScope.BRIDGE) {
            return named.isEmpty() || leadsTo(named.get(), function.address());
        }
        DeviceScope.Hop last = scope.path().get(scope.path().size() - 1);
        return named.isEmpty()
                && isObscure(segment, scope)
                && last.device() == function.address().device()
                && last.function() == function.address().function();
    }

    /** Where the buses of a bridge are not known, it may lead to any bus behind its own. */
    private static boolean leadsTo(PciFunction bridge, PciAddress function) {
        return bridge.config().isBridge()
                ? bridge.config().secondaryBus() <= function.bus()
                        && function.bus() <= bridge.config().read(SUBORDINATE_BUS, 1)
                : bridge.address().bus() < function.bus();
    }

    /**
     * Finds the units that may translate for a function: the one that does, or where the bridge above is not known,
     * each that may have it in its scope, and the one for the whole segment.
     *
     * @return indexes into the units, sorted
     */
    public List<Integer> candidates(List<RemappingStructure.Drhd> units, PciFunction asked) {
        PciFunction function = physical(asked);
        int known = unitOf(units, function);
        if (function.placed()
                || (known >= 0
                        && covers(units.get(known).segment(), units.get(known).scopes(), function))) {
            return known < 0 ? List.of() : List.of(known);
        }
        List<Integer> candidates = new ArrayList<>();
        for (int i = 0; i < units.size(); i++) {
            RemappingStructure.Drhd unit = units.get(i);
            boolean may = unit.scopes().stream().anyMatch(scope -> mayCover(unit.segment(), scope, function));
            if (i == known || may) {
                candidates.add(i);
            }
        }
        return candidates;
    }

    /** Returns whether any of the scopes names a function. */
    public boolean covers(int segment, List<DeviceScope> scopes, PciFunction function) {
        for (DeviceScope scope : scopes) {
            if (covers(segment, scope, function)) {
                return true;
            }
        }
        return false;
    }

    /**
     * Finds the unit that translates for a function. A unit that names it takes precedence over one for its whole
     * segment. A virtual function has the unit of its physical one.
     *
     * @return an index into the units, or -1
     */
    public int unitOf(List<RemappingStructure.Drhd> units, PciFunction asked) {
        PciFunction function = physical(asked);
        int all = -1;
        for (int i = 0; i < units.size(); i++) {
            RemappingStructure.Drhd unit = units.get(i);
            if (unit.segment() != function.address().segment()) {
                continue;
            }
            if (covers(unit.segment(), unit.scopes(), function)) {
                return i;
            }
            if (unit.includeAll() && all < 0) {
                all = i;
            }
        }
        return all;
    }

    /**
     * Returns the physical function of a virtual one. Returns the function itself if it is not virtual or its physical
     * one is missing.
     */
    public PciFunction physical(PciFunction function) {
        return function.physicalFunction().map(functions::get).orElse(function);
    }

    private boolean isBelow(PciFunction function, PciAddress bridge) {
        @Nullable PciFunction at = function;
        // A chain of bridges is no longer than there are functions; a topology that loops ends the search.
        for (int i = 0; at != null && i <= functions.size(); i++) {
            PciAddress above = at.upstreamBridge().orElse(null);
            if (above == null) {
                return false;
            }
            if (above.equals(bridge)) {
                return true;
            }
            at = functions.get(above);
        }
        return false;
    }

    private int secondaryBus(PciFunction bridge) {
        int configured = bridge.config().isBridge() ? bridge.config().secondaryBus() : 0;
        return configured != 0 && configured != 0xff ? configured : secondaryBuses.getOrDefault(bridge.address(), -1);
    }
}
