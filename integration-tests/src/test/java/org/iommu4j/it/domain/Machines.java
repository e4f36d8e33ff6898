// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongUnaryOperator;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.spi.FunctionDescription;
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

    /**
     * Returns the machine with PASIDs of 16 bits in the two devices of a {@link Bench}, and with translation caches if
     * asked for.
     */
    public static MachineDescription withPasids(MachineDescription machine, boolean ats) {
        return takingPasids(machine).withFunctions(machine.functions().stream()
                .map(function -> function.address().equals(Bench.DEVICE)
                                || function.address().equals(Bench.SECOND)
                        ? withPasid(function, ats)
                        : function)
                .toList());
    }

    /**
     * Returns the machine with a first device of a {@link Bench} that can have PASIDs, a translation cache and 64 page
     * requests.
     */
    public static MachineDescription withPageRequests(MachineDescription machine) {
        return takingPasids(machine).withFunctions(machine.functions().stream()
                .map(function -> function.address().equals(Bench.DEVICE) ? withPageRequests(function) : function)
                .toList());
    }

    /** AMD's driver attaches no PASIDs, as Linux's does not, unless it is told to. */
    private static MachineDescription takingPasids(MachineDescription machine) {
        return machine.withBootOptions(machine.bootOptions().and("iommu4j.amd=pasids"));
    }

    private static FunctionDescription withPageRequests(FunctionDescription function) {
        return new FunctionDescription(
                function.address(),
                function.upstreamBridge(),
                ConfigSpaceBuilder.endpoint(0x1b36, 0x0100, ConfigSpaceBuilder.CLASS_VGA)
                        .pasid(16)
                        .ats()
                        .pri(64)
                        .build(),
                function.unit(),
                function.externalFacing());
    }

    private static FunctionDescription withPasid(FunctionDescription function, boolean ats) {
        ConfigSpaceBuilder builder = ConfigSpaceBuilder.endpoint(0x1b36, 0x0100, ConfigSpaceBuilder.CLASS_VGA)
                .pasid(16);
        if (ats) {
            builder.ats();
        }
        return new FunctionDescription(
                function.address(),
                function.upstreamBridge(),
                builder.build(),
                function.unit(),
                function.externalFacing());
    }
}
