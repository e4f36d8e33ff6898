// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.jspecify.annotations.Nullable;

/**
 * Finds the bridge above each function: the one that an input states, else by the buses that bridges lead to.
 *
 * <p>By buses, a bridge leads to its secondary bus; a bus to which no known bridge leads is a root bus when the buses
 * of all bridges of its segment are known. A bridge's buses have higher numbers than its own, so that no function is
 * found below itself. Virtual functions may be on a bus that no bridge has as its secondary one: they are where their
 * physical function is, and where that is not known or can't be, below the bridge whose buses cover theirs most
 * closely.
 */
final class Placement {
    private final Map<PciAddress, FunctionFacts> functions;
    private final Map<Long, PciAddress> bridgeTo = new HashMap<>();
    private final Map<Integer, Boolean> busesKnown = new HashMap<>();
    private final Map<PciAddress, PciAddress> physicalOf;

    private Placement(SortedMap<PciAddress, FunctionFacts> functions) {
        this.functions = functions;
        this.physicalOf = VirtualFunctions.of(functions);
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
            SortedMap<PciAddress, FunctionFacts> functions, Consumer<String> warnings) {
        Placement placement = new Placement(functions);
        SortedMap<PciAddress, FunctionEvidence> placed = new TreeMap<>();
        functions.values().forEach(function -> placed.put(function.address(), placement.place(function, warnings)));
        return Collections.unmodifiableSortedMap(placed);
    }

    /**
     * Where a function is.
     *
     * @param bridge the bridge above
     * @param known whether it is known which is, or that none is
     */
    private record Place(Optional<PciAddress> bridge, boolean known) {}

    private FunctionEvidence place(FunctionFacts function, Consumer<String> warnings) {
        PciAddress physical = physicalOf.get(function.address());
        Place place = stated(function, warnings)
                .or(() -> behindBridge(function.address()))
                .or(() -> ofPhysical(function.address(), physical, warnings))
                .or(() -> covered(function.address()))
                .orElseGet(() -> onRootBus(function.address()));
        return physical == null
                ? new FunctionEvidence(function, place.bridge(), place.known())
                : new FunctionEvidence(
                        function,
                        place.bridge(),
                        place.known(),
                        Optional.of(physical),
                        Optional.ofNullable(functions.get(physical)));
    }

    private Optional<Place> ofPhysical(PciAddress address, @Nullable PciAddress physical, Consumer<String> warnings) {
        FunctionFacts facts = physical == null ? null : functions.get(physical);
        if (facts == null) {
            return Optional.empty();
        }
        Optional<Place> place = stated(facts, warnings).or(() -> behindBridge(facts.address()));
        Optional<PciAddress> above = place.flatMap(Place::bridge);
        if (above.isPresent() && !canBeAbove(above.get(), address)) {
            warnings.accept(address + " is below " + above.get() + " like its physical function " + physical
                    + ", which is impossible");
            return Optional.empty();
        }
        return place;
    }

    private Optional<Place> stated(FunctionFacts function, Consumer<String> warnings) {
        PciAddress address = function.address();
        Optional<Fact<PciAddress>> stated = function.bridge();
        if (stated.isPresent()) {
            PciAddress above = stated.get().value();
            if (functions.containsKey(above) && canBeAbove(above, address)) {
                return Optional.of(new Place(Optional.of(above), true));
            }
            warnings.accept(address + " is below " + above + " in "
                    + stated.get().source() + ", which is impossible or not in the input");
            return Optional.of(new Place(Optional.empty(), false));
        }
        return function.isOnRootBus() ? Optional.of(new Place(Optional.empty(), true)) : Optional.empty();
    }

    private Optional<Place> behindBridge(PciAddress address) {
        return Optional.ofNullable(bridgeTo.get(bus(address.segment(), address.bus())))
                .map(above -> new Place(Optional.of(above), true));
    }

    private Optional<Place> covered(PciAddress address) {
        for (int first = address.bus() - 1; first > 0; first--) {
            PciAddress bridge = bridgeTo.get(bus(address.segment(), first));
            FunctionFacts facts = bridge == null ? null : functions.get(bridge);
            if (facts != null && facts.subordinateBus() >= address.bus()) {
                return Optional.of(new Place(Optional.of(facts.address()), true));
            }
        }
        return Optional.empty();
    }

    private Place onRootBus(PciAddress address) {
        return new Place(Optional.empty(), address.bus() == 0 || busesKnown.getOrDefault(address.segment(), true));
    }

    /** A bridge is on a bus with a lower number than those that it leads to. */
    private static boolean canBeAbove(PciAddress bridge, PciAddress function) {
        return bridge.segment() == function.segment() && bridge.bus() < function.bus();
    }

    private static long bus(int segment, int bus) {
        return (long) segment << 8 | bus;
    }
}
