// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.spi.BootOptions;

/**
 * What a machine is made of. Built-in machines have one shape: {@link org.iommu4j.sim.pcie.BuiltInTopology}.
 *
 * @param name for people, for example {@code intel-sc}
 * @param cpus number of logical CPUs, 1 to 64
 * @param virtualization the CPUs' virtualization extension
 * @param caches sizes of the caches
 * @param memoryBytes DRAM from physical address 0 on, a multiple of 4096
 * @param units its translation units
 * @param functions its PCI functions and bridges, in the order of their addresses
 * @param acpiTables ACPI tables by signature, with their headers
 * @param bootOptions what its kernel was told
 */
public record MachineDescription(
        String name,
        int cpus,
        HardwareVirtualization virtualization,
        CacheGeometry caches,
        long memoryBytes,
        List<TranslationUnitSpec> units,
        List<FunctionDescription> functions,
        Map<String, byte[]> acpiTables,
        BootOptions bootOptions) {
    /** Copies the collections and checks the numbers. */
    public MachineDescription {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(virtualization, "virtualization");
        Objects.requireNonNull(caches, "caches");
        Objects.requireNonNull(bootOptions, "bootOptions");
        units = List.copyOf(units);
        functions = List.copyOf(functions);
        acpiTables = Map.copyOf(acpiTables);
        if (cpus < 1 || cpus > 64) {
            throw new IllegalArgumentException("machine " + name + " has " + cpus + " CPUs, expected 1 to 64");
        }
    }

    /** Returns the same machine with other translation units. */
    public MachineDescription withUnits(List<TranslationUnitSpec> others) {
        return new MachineDescription(
                name, cpus, virtualization, caches, memoryBytes, others, functions, acpiTables, bootOptions);
    }

    /** Returns the same machine with other PCI functions, in the order of their addresses. */
    public MachineDescription withFunctions(List<FunctionDescription> others) {
        return new MachineDescription(
                name, cpus, virtualization, caches, memoryBytes, units, others, acpiTables, bootOptions);
    }

    /** Returns the same machine whose kernel was told other things. */
    public MachineDescription withBootOptions(BootOptions others) {
        return new MachineDescription(
                name, cpus, virtualization, caches, memoryBytes, units, functions, acpiTables, others);
    }

    /** Returns the tables as a driver sees them. */
    public FirmwareTables firmware() {
        return signature -> Optional.ofNullable(acpiTables.get(Objects.requireNonNull(signature, "signature")))
                .map(byte[]::clone);
    }
}
