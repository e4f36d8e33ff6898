// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.LinuxRelease;
import org.iommu4j.device.DeviceId;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.ShownGroups;
import org.iommu4j.spi.UnitDescription;

/**
 * Infers a function's unit from the order in which functions join groups.
 *
 * <p>Since 6.1 Linux registers unit by unit, and each registration probes all functions in the order of the bus. A
 * function whose unit is not registered yet is turned away. So the functions of one unit join in one pass over the bus,
 * and the next unit's pass begins at the first function again. Units come in the order of the list of units: those with
 * INCLUDE_PCI_ALL last, the others before them, the last one of DMAR first.
 *
 * <p>The passes count only where there are as many as units. Nothing is inferred where it is doubtful whether a step is
 * one back.
 *
 * <p>Source: Linux {@code iommu_device_register}, {@code bus_iommu_probe}, {@code intel_iommu_probe_device}, {@code
 * dmar_register_drhd_unit}, 6.1 to 7.1, without a gap. Until 6.0 {@code intel_iommu_init} registered all units and then
 * probed the bus once ({@code bus_set_iommu}). Commit 57365a04c921 ("iommu: Move bus setup to IOMMU device
 * registration", 6.1) made each registration probe; "iommu/vt-d: Handle race between registration and device probe" of
 * the same series turns functions of units without {@code ops} away. Stable series before 6.1 have the second alone,
 * which changes nothing there.
 */
final class RegistrationPasses {
    /** How a unit was found. */
    static final Reason INFERRED = new Reason(
            "its unit is inferred from the order in which functions join groups in the log: each unit probes the bus"
                    + " in its turn",
            "Linux bus_iommu_probe, intel_iommu_probe_device (since 6.1)");

    /** The first release whose units probe the bus one after the other. */
    private static final LinuxRelease IN_TURN = new LinuxRelease(6, 1);

    private RegistrationPasses() {}

    /**
     * Returns the units of functions, empty where nothing can be inferred.
     *
     * @param units all units that Linux uses, in DMAR's order
     * @param linked the units that are known from elsewhere
     */
    static Map<DeviceId, UnitDescription> infer(
            ShownGroups groups, List<UnitDescription> units, Map<DeviceId, UnitDescription> linked) {
        boolean each = groups.linux()
                .filter(linux -> !linux.isEnterprise() && linux.compareTo(IN_TURN) >= 0)
                .isPresent();
        if (!each || units.size() < 2 || units.stream().anyMatch(unit -> unit.includeAll() == Answer.UNKNOWN)) {
            return Map.of();
        }
        List<List<DeviceId>> passes = passes(groups);
        if (passes.size() != units.size()) {
            return Map.of();
        }
        List<UnitDescription> order = new ArrayList<>();
        for (UnitDescription unit : units) {
            order.add(unit.includeAll() == Answer.YES ? order.size() : 0, unit);
        }
        Map<DeviceId, UnitDescription> inferred = new HashMap<>();
        for (int i = 0; i < passes.size(); i++) {
            for (DeviceId function : passes.get(i)) {
                inferred.put(function, order.get(i));
            }
        }
        boolean agrees = linked.entrySet().stream()
                .allMatch(link ->
                        inferred.getOrDefault(link.getKey(), link.getValue()).equals(link.getValue()));
        return agrees ? inferred : Map.of();
    }

    /** Returns the passes, none where a step may or may not begin one. */
    private static List<List<DeviceId>> passes(ShownGroups groups) {
        Map<DeviceId, Integer> found = new HashMap<>();
        groups.found().forEach(function -> found.putIfAbsent(function, found.size()));
        List<List<DeviceId>> passes = new ArrayList<>();
        PciAddress last = null;
        for (DeviceId id : groups.joined()) {
            if (!(id instanceof PciAddress function)) {
                return List.of();
            }
            if (last == null) {
                passes.add(new ArrayList<>());
            } else {
                Answer back = isBack(last, function, found);
                if (back == Answer.UNKNOWN) {
                    return List.of();
                }
                if (back == Answer.YES) {
                    passes.add(new ArrayList<>());
                }
            }
            passes.get(passes.size() - 1).add(function);
            last = function;
        }
        return passes;
    }

    /**
     * Returns whether a function is before another on Linux's bus. By address alone that is certain on one bus, and for
     * the first bus; a later bus may have been found before one with a lower number.
     */
    private static Answer isBack(PciAddress last, PciAddress function, Map<DeviceId, Integer> found) {
        boolean lower = function.compareTo(last) < 0;
        Integer from = found.get(last);
        Integer to = found.get(function);
        if (from != null && to != null) {
            return (to < from) == lower ? Answer.of(lower) : Answer.UNKNOWN;
        }
        boolean certain = function.segment() == last.segment() && (function.bus() == last.bus() || function.bus() == 0);
        return !lower || certain ? Answer.of(lower) : Answer.UNKNOWN;
    }
}
