// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.host;

import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SortedMap;
import java.util.TreeMap;
import org.iommu4j.platform.PciAddress;
import org.iommu4j.spi.Answer;

/**
 * Finds the bridge above each function: as an input says, else by the buses that bridges lead to.
 *
 * <p>By buses, a bridge leads to its secondary bus; a bus to which no known bridge leads is a root bus when the buses of
 * all bridges of its segment are known. A bridge's buses have higher numbers than its own, so that no function is found
 * below itself.
 */
final class Placement {
    private final SortedMap<PciAddress, FunctionFacts> functions;
    private final Map<Integer, PciAddress> bridgeTo = new HashMap<>();
    private final Map<Integer, Boolean> busesKnown = new HashMap<>();

    private Placement(SortedMap<PciAddress, FunctionFacts> functions) {
        this.functions = functions;
        functions.forEach((address, function) -> {
            OptionalInt secondary = function.secondaryBus();
            if (secondary.isPresent() && secondary.getAsInt() > address.bus()) {
                bridgeTo.putIfAbsent(bus(address.segment(), secondary.getAsInt()), address);
            }
            if (function.config().isEmpty()
                    && new FunctionEvidence(function, Optional.empty(), false).bridge() != Answer.NO) {
                busesKnown.put(address.segment(), false);
            }
        });
    }

    static SortedMap<PciAddress, FunctionEvidence> of(
            SortedMap<PciAddress, FunctionFacts> functions, List<String> warnings) {
        Placement placement = new Placement(functions);
        SortedMap<PciAddress, FunctionEvidence> placed = new TreeMap<>();
        functions.values().forEach(function -> placed.put(function.address(), placement.place(function, warnings)));
        return Collections.unmodifiableSortedMap(placed);
    }

    private FunctionEvidence place(FunctionFacts function, List<String> warnings) {
        PciAddress address = function.address();
        Optional<Fact<PciAddress>> told = function.bridge();
        if (told.isPresent()) {
            PciAddress above = told.get().value();
            if (functions.containsKey(above) && canBeAbove(above, address)) {
                return new FunctionEvidence(function, Optional.of(above), true);
            }
            warnings.add(
                    address + " is below " + above + " in " + told.get().source() + ", which can't be or is not there");
            return new FunctionEvidence(function, Optional.empty(), false);
        }
        if (function.isOnRootBus()) {
            return new FunctionEvidence(function, Optional.empty(), true);
        }
        PciAddress above = bridgeTo.get(bus(address.segment(), address.bus()));
        if (above != null) {
            return new FunctionEvidence(function, Optional.of(above), true);
        }
        return new FunctionEvidence(
                function, Optional.empty(), address.bus() == 0 || busesKnown.getOrDefault(address.segment(), true));
    }

    /** A bridge is on a bus with a lower number than those that it leads to. */
    private static boolean canBeAbove(PciAddress bridge, PciAddress function) {
        return bridge.segment() == function.segment() && bridge.bus() < function.bus();
    }

    private static int bus(int segment, int bus) {
        return segment << 8 | bus;
    }
}
