// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import java.util.List;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.pcie.SimulatedFunction;
import org.iommu4j.sim.spi.InvalidationAnswer;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.jspecify.annotations.Nullable;

/** Carries units' messages to the addressed functions; a message without a recipient is lost. */
final class AddressedFunctions implements UnitFabric.Devices {
    private final SimulatedFunction[] functions;
    private final int[] sourceIds;

    /** The name of the unit that each is behind; asking a function for it would allocate at each invalidation. */
    private final @Nullable String[] units;

    private final String[] unitNames;

    /** The levels of each unit's wires, a bit each. */
    private final AtomicIntegerArray wires;

    private final Trace trace;

    AddressedFunctions(SimulatedFunction[] functions, List<TranslationUnitSpec> units, Trace trace) {
        this.functions = functions;
        this.sourceIds = new int[functions.length];
        this.units = new String[functions.length];
        for (int i = 0; i < functions.length; i++) {
            this.units[i] = functions[i].unit().orElse(null);
            sourceIds[i] = sourceId(functions[i], units);
        }
        unitNames = units.stream().map(TranslationUnitSpec::name).toArray(String[]::new);
        wires = new AtomicIntegerArray(unitNames.length);
        this.trace = trace;
    }

    @Override
    public InvalidationAnswer invalidate(
            String unit, int sourceId, int pasid, boolean global, long address, long size, int tag) {
        SimulatedFunction function = find(unit, sourceId);
        return function == null
                ? InvalidationAnswer.NEVER
                : function.invalidateTranslations(pasid, global, address, size, tag);
    }

    @Override
    public void setWire(String unit, int wire, boolean high) {
        for (int i = 0; i < wires.length(); i++) {
            if (unitNames[i].equals(unit)) {
                wires.getAndUpdate(i, high ? old -> old | 1 << wire : old -> old & ~(1 << wire));
            }
        }
    }

    /** Has all wires low, as at power-on. */
    void reset() {
        for (int i = 0; i < wires.length(); i++) {
            wires.set(i, 0);
        }
    }

    /** Returns whether a wire of the unit with a number is high. */
    boolean isHigh(int unit, int wire) {
        return ((wires.get(unit) >>> wire) & 1) != 0;
    }

    /** Has one function send one answer that it owes, if any does. */
    boolean answer(TranslationUnit[] translationUnits) {
        for (int i = 0; i < functions.length; i++) {
            int tag = functions[i].nextAnswer();
            if (tag >= 0) {
                for (int unit = 0; unit < translationUnits.length; unit++) {
                    if (unitNames[unit].equals(units[i])) {
                        translationUnits[unit].completeInvalidation(sourceIds[i], 1 << tag, 1);
                    }
                }
                return true;
            }
        }
        return false;
    }

    @Override
    public void respond(String unit, int sourceId, int pasid, int group, int code) {
        SimulatedFunction function = find(unit, sourceId);
        if (trace.isOn()) {
            trace.unit(TraceKind.PAGE_RESPONSE, unit, sourceId, code, function == null ? Trace.FAULT : 0);
        }
        if (function != null) {
            function.takePageResponse(pasid, group, code);
        }
    }

    private @Nullable SimulatedFunction find(String unit, int sourceId) {
        for (int i = 0; i < functions.length; i++) {
            if (sourceIds[i] == sourceId && unit.equals(units[i])) {
                return functions[i];
            }
        }
        return null;
    }

    private static int sourceId(SimulatedFunction function, List<TranslationUnitSpec> units) {
        PciAddress address = function.address();
        for (TranslationUnitSpec unit : units) {
            if (function.unit().filter(unit.name()::equals).isPresent()) {
                return unit.sourceId(address.segment(), address.requesterId());
            }
        }
        return address.requesterId();
    }
}
