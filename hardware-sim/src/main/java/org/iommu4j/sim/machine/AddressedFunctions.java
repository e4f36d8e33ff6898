// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import org.iommu4j.sim.pcie.SimulatedFunction;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.jspecify.annotations.Nullable;

/** Carries units' messages to the addressed functions; a message without a recipient is lost. */
final class AddressedFunctions implements UnitFabric.Devices {
    private final SimulatedFunction[] functions;
    private final Trace trace;

    AddressedFunctions(SimulatedFunction[] functions, Trace trace) {
        this.functions = functions;
        this.trace = trace;
    }

    @Override
    public boolean invalidate(String unit, int requesterId, int pasid, long address, long size) {
        SimulatedFunction function = find(unit, requesterId);
        return function != null && function.invalidateTranslations(pasid, address, size);
    }

    @Override
    public void respond(String unit, int requesterId, int pasid, int group, int code) {
        SimulatedFunction function = find(unit, requesterId);
        if (trace.isOn()) {
            trace.unit(TraceKind.PAGE_RESPONSE, unit, requesterId, code, function == null ? Trace.FAULT : 0);
        }
        if (function != null) {
            function.takePageResponse(pasid, group, code);
        }
    }

    private @Nullable SimulatedFunction find(String unit, int requesterId) {
        for (SimulatedFunction function : functions) {
            if (function.address().requesterId() == requesterId
                    && function.unit().filter(unit::equals).isPresent()) {
                return function;
            }
        }
        return null;
    }
}
