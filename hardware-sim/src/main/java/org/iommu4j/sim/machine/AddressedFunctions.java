// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import java.util.List;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.pcie.SimulatedFunction;
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

    private final Trace trace;

    AddressedFunctions(SimulatedFunction[] functions, List<TranslationUnitSpec> units, Trace trace) {
        this.functions = functions;
        this.sourceIds = new int[functions.length];
        this.units = new String[functions.length];
        for (int i = 0; i < functions.length; i++) {
            this.units[i] = functions[i].unit().orElse(null);
            sourceIds[i] = sourceId(functions[i], units);
        }
        this.trace = trace;
    }

    @Override
    public boolean invalidate(String unit, int sourceId, int pasid, long address, long size) {
        SimulatedFunction function = find(unit, sourceId);
        return function != null && function.invalidateTranslations(pasid, address, size);
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
