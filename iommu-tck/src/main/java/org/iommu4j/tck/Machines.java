// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongUnaryOperator;
import java.util.function.UnaryOperator;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/** Machines like another but for something: a register of a unit, or what the endpoints behind units can do. */
public final class Machines {
    private static final int HEADER_TYPE = 0x0e;
    private static final int BASE_CLASS = 0x0b;
    private static final byte CLASS_BRIDGE = 0x06;

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

    /** Returns the machine with PASIDs of 16 bits in every endpoint, and with translation caches if asked for. */
    public static MachineDescription withPasids(MachineDescription machine, boolean translationCaches) {
        return with(
                machine,
                endpoints(machine),
                endpoint -> translationCaches ? endpoint.pasid(16).ats() : endpoint.pasid(16));
    }

    /** Returns the machine whose first endpoint can have PASIDs, a translation cache and 64 page requests. */
    public static MachineDescription withPageRequests(MachineDescription machine) {
        return with(
                machine,
                List.of(firstEndpoint(machine)),
                endpoint -> endpoint.pasid(16).ats().pri(64));
    }

    /** Returns the machine whose first endpoint has a translation cache, and no PASIDs. */
    public static MachineDescription withTranslationCache(MachineDescription machine) {
        return with(machine, List.of(firstEndpoint(machine)), ConfigSpaceBuilder::ats);
    }

    /** Returns the functions behind units that are no bridges, to whatever bus. */
    public static List<PciAddress> endpoints(MachineDescription machine) {
        return machine.functions().stream()
                .filter(function -> function.unit().isPresent() && isEndpoint(function))
                .map(FunctionDescription::address)
                .toList();
    }

    /** Returns whether a function is no bridge, neither to PCI nor to another bus. */
    static boolean isEndpoint(FunctionDescription function) {
        byte[] config = function.config();
        return (config[HEADER_TYPE] & 0x7f) == 0 && config[BASE_CLASS] != CLASS_BRIDGE;
    }

    /** Returns the first function behind a unit that is no bridge. */
    public static PciAddress firstEndpoint(MachineDescription machine) {
        return endpoints(machine).stream()
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no endpoint of " + machine.name() + " has a unit"));
    }

    /** Returns the function with another configuration space. */
    public static FunctionDescription withConfig(FunctionDescription function, byte[] config) {
        return new FunctionDescription(
                function.address(),
                function.upstreamBridge(),
                config,
                function.unit(),
                function.externalFacing(),
                function.barSizes());
    }

    private static MachineDescription with(
            MachineDescription machine, List<PciAddress> endpoints, UnaryOperator<ConfigSpaceBuilder> capabilities) {
        ConfigSpaceBuilder config =
                capabilities.apply(ConfigSpaceBuilder.endpoint(0x1b36, 0x0100, ConfigSpaceBuilder.CLASS_VGA));
        return machine.withFunctions(machine.functions().stream()
                .map(function -> endpoints.contains(function.address())
                        ? withConfig(function, config.build()).withBarSizes(config.barSizes())
                        : function)
                .toList());
    }
}
