// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongUnaryOperator;
import java.util.function.UnaryOperator;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/** Machines that are like the built-in ones but for something: a register, what the two GPUs can do. */
public final class Machines {
    private Machines() {}

    /** Returns the machine with a read-only register of one of its units changed. */
    public static MachineDescription withRegister(
            MachineDescription machine, String unit, String register, LongUnaryOperator change) {
        return machine.withUnits(machine.units().stream()
                .map(spec -> spec.name().equals(unit) ? withRegister(spec, register, change) : spec)
                .toList());
    }

    private static TranslationUnitSpec withRegister(
            TranslationUnitSpec spec, String register, LongUnaryOperator change) {
        Map<String, Long> registers = new HashMap<>(spec.registers());
        registers.put(register, change.applyAsLong(spec.register(register)));
        return new TranslationUnitSpec(
                spec.provider(), spec.name(), spec.segment(), spec.registerBase(), spec.registerSize(), registers);
    }

    /** Returns the machine with PASIDs of 16 bits in both GPUs, and with translation caches if asked for. */
    public static MachineDescription withPasids(MachineDescription machine, boolean translationCaches) {
        return withGpus(
                machine,
                List.of(BuiltInTopology.GPU, BuiltInTopology.SECOND_GPU),
                gpu -> translationCaches ? gpu.pasid(16).ats() : gpu.pasid(16));
    }

    /** Returns the machine whose first GPU can have PASIDs, a translation cache and 64 page requests. */
    public static MachineDescription withPageRequests(MachineDescription machine) {
        return withGpus(
                machine,
                List.of(BuiltInTopology.GPU),
                gpu -> gpu.pasid(16).ats().pri(64));
    }

    /** Returns the machine whose first GPU has a translation cache, and no PASIDs. */
    public static MachineDescription withTranslationCache(MachineDescription machine) {
        return withGpus(machine, List.of(BuiltInTopology.GPU), ConfigSpaceBuilder::ats);
    }

    private static MachineDescription withGpus(
            MachineDescription machine, List<PciAddress> gpus, UnaryOperator<ConfigSpaceBuilder> capabilities) {
        byte[] config = capabilities
                .apply(ConfigSpaceBuilder.endpoint(0x1b36, 0x0100, ConfigSpaceBuilder.CLASS_VGA))
                .build();
        return machine.withFunctions(machine.functions().stream()
                .map(function -> gpus.contains(function.address()) ? withConfig(function, config) : function)
                .toList());
    }

    /** Returns the function with another configuration space. */
    public static FunctionDescription withConfig(FunctionDescription function, byte[] config) {
        return new FunctionDescription(
                function.address(), function.upstreamBridge(), config, function.unit(), function.externalFacing());
    }
}
