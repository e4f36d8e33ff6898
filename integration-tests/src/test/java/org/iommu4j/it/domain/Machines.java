// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongUnaryOperator;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/** Machines like another, but for one thing. */
public final class Machines {
    private Machines() {}

    /** Returns the machine with a read-only register of one of its units changed. */
    public static MachineDescription withRegister(
            MachineDescription machine, String unit, String register, LongUnaryOperator change) {
        List<TranslationUnitSpec> units = machine.units().stream()
                .map(spec -> spec.name().equals(unit) ? withRegister(spec, register, change) : spec)
                .toList();
        return machine.withUnits(units);
    }

    private static TranslationUnitSpec withRegister(
            TranslationUnitSpec spec, String register, LongUnaryOperator change) {
        Map<String, Long> registers = new HashMap<>(spec.registers());
        registers.put(register, change.applyAsLong(spec.register(register)));
        return new TranslationUnitSpec(
                spec.provider(), spec.name(), spec.segment(), spec.registerBase(), spec.registerSize(), registers);
    }
}
