// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.iommu4j.platform.Architecture;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.support.FirmwareBytes;
import org.iommu4j.spi.BootOptions;

/**
 * What a machine is made of. Built-in machines have one shape: {@link org.iommu4j.sim.pcie.BuiltInTopology}.
 *
 * @param name for people, for example {@code intel-sc}
 * @param processors its CPUs and their caches
 * @param memoryBytes DRAM from physical address 0 on, a multiple of 4096
 * @param interruptWindow the addresses at which writes are interrupt requests before any translation; without it the
 *     units translate interrupt messages like any write
 * @param units its translation units
 * @param functions its PCI functions and bridges, in the order of their addresses
 * @param platformDevices its devices that are not on PCI
 * @param acpiTables ACPI tables by signature, with their headers
 * @param deviceTree its flattened device tree, if its firmware has one
 * @param bootOptions what its kernel was told
 */
public record MachineDescription(
        String name,
        ProcessorDescription processors,
        long memoryBytes,
        Optional<InterruptWindow> interruptWindow,
        List<TranslationUnitSpec> units,
        List<FunctionDescription> functions,
        List<PlatformDeviceDescription> platformDevices,
        Map<String, byte[]> acpiTables,
        Optional<byte[]> deviceTree,
        BootOptions bootOptions) {
    /** Copies the collections. */
    public MachineDescription {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(processors, "processors");
        Objects.requireNonNull(interruptWindow, "interruptWindow");
        Objects.requireNonNull(deviceTree, "deviceTree");
        Objects.requireNonNull(bootOptions, "bootOptions");
        units = List.copyOf(units);
        functions = List.copyOf(functions);
        platformDevices = List.copyOf(platformDevices);
        acpiTables = Map.copyOf(acpiTables);
    }

    /** Describes a machine whose firmware has no device tree. */
    public MachineDescription(
            String name,
            ProcessorDescription processors,
            long memoryBytes,
            Optional<InterruptWindow> interruptWindow,
            List<TranslationUnitSpec> units,
            List<FunctionDescription> functions,
            List<PlatformDeviceDescription> platformDevices,
            Map<String, byte[]> acpiTables,
            BootOptions bootOptions) {
        this(
                name,
                processors,
                memoryBytes,
                interruptWindow,
                units,
                functions,
                platformDevices,
                acpiTables,
                Optional.empty(),
                bootOptions);
    }

    /** Describes a machine with devices on PCI only, and with x86's interrupt window if its CPUs are x86's. */
    public MachineDescription(
            String name,
            ProcessorDescription processors,
            long memoryBytes,
            List<TranslationUnitSpec> units,
            List<FunctionDescription> functions,
            Map<String, byte[]> acpiTables,
            BootOptions bootOptions) {
        this(
                name,
                processors,
                memoryBytes,
                processors.architecture() == Architecture.X86_64 ? Optional.of(InterruptWindow.X86) : Optional.empty(),
                units,
                functions,
                List.of(),
                acpiTables,
                bootOptions);
    }

    /** Returns the same machine with other CPUs. */
    public MachineDescription withProcessors(ProcessorDescription others) {
        return new MachineDescription(
                name,
                others,
                memoryBytes,
                interruptWindow,
                units,
                functions,
                platformDevices,
                acpiTables,
                deviceTree,
                bootOptions);
    }

    /** Returns the same machine with another interrupt window, or with none. */
    public MachineDescription withInterruptWindow(Optional<InterruptWindow> others) {
        return new MachineDescription(
                name,
                processors,
                memoryBytes,
                others,
                units,
                functions,
                platformDevices,
                acpiTables,
                deviceTree,
                bootOptions);
    }

    /** Returns the same machine with other translation units. */
    public MachineDescription withUnits(List<TranslationUnitSpec> others) {
        return new MachineDescription(
                name,
                processors,
                memoryBytes,
                interruptWindow,
                others,
                functions,
                platformDevices,
                acpiTables,
                deviceTree,
                bootOptions);
    }

    /** Returns the same machine with other PCI functions, in the order of their addresses. */
    public MachineDescription withFunctions(List<FunctionDescription> others) {
        return new MachineDescription(
                name,
                processors,
                memoryBytes,
                interruptWindow,
                units,
                others,
                platformDevices,
                acpiTables,
                deviceTree,
                bootOptions);
    }

    /** Returns the same machine with other devices that are not on PCI. */
    public MachineDescription withPlatformDevices(List<PlatformDeviceDescription> others) {
        return new MachineDescription(
                name,
                processors,
                memoryBytes,
                interruptWindow,
                units,
                functions,
                others,
                acpiTables,
                deviceTree,
                bootOptions);
    }

    /** Returns the same machine with other ACPI tables. */
    public MachineDescription withAcpiTables(Map<String, byte[]> others) {
        return new MachineDescription(
                name,
                processors,
                memoryBytes,
                interruptWindow,
                units,
                functions,
                platformDevices,
                others,
                deviceTree,
                bootOptions);
    }

    /** Returns the same machine with another device tree, or with none. */
    public MachineDescription withDeviceTree(Optional<byte[]> other) {
        return new MachineDescription(
                name,
                processors,
                memoryBytes,
                interruptWindow,
                units,
                functions,
                platformDevices,
                acpiTables,
                other,
                bootOptions);
    }

    /** Returns the same machine whose kernel was told other things. */
    public MachineDescription withBootOptions(BootOptions others) {
        return new MachineDescription(
                name,
                processors,
                memoryBytes,
                interruptWindow,
                units,
                functions,
                platformDevices,
                acpiTables,
                deviceTree,
                others);
    }

    /** Returns the tables and the device tree as a driver sees them. */
    public FirmwareTables firmware() {
        return new FirmwareBytes(acpiTables, deviceTree);
    }
}
