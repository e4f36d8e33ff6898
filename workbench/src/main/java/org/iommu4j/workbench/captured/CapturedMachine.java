// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.captured;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.Fact;
import org.iommu4j.host.FunctionEvidence;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.host.InputException;
import org.iommu4j.host.UnitEvidence;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.workbench.scenario.NotApplicable;
import org.iommu4j.workbench.scenario.NotApplicableException;

/**
 * Builds the description of a machine from a captured host.
 *
 * <p>Linux's {@code iommu} links decide which unit serves a function, not our reading of the ACPI tables, so that the
 * two can be compared. Without a kernel log it is unknown whether interrupts are remapped: they are assumed to be where
 * the hardware has it.
 */
public final class CapturedMachine {
    private static final int CPUS = 4;
    private static final long MEMORY_BYTES = 256L << 20;

    private CapturedMachine() {}

    /**
     * Describes the machine.
     *
     * @throws NotApplicableException MACHINE_LACKS when no IOMMU is in use on the host, NO_DRIVER when none of the
     *     providers knows a unit
     * @throws InputException when the capture does not show whether an IOMMU is in use, or lacks functions or
     *     configuration
     */
    public static MachineDescription describe(
            HostEvidence host, Collection<TranslationUnitProvider> providers, IommuVendors vendors) {
        FirmwareTables firmware = host.firmware();
        List<TranslationUnitSpec> units = new ArrayList<>();
        for (UnitEvidence unit : host.units().values()) {
            if (!unit.inSysfs()) {
                continue; // only the kernel log names it: translation is off
            }
            units.add(providers.stream()
                    .flatMap(each -> recognise(host, each, unit, firmware).stream())
                    .findFirst()
                    .orElseThrow(() -> new NotApplicableException(
                            NotApplicable.NO_DRIVER,
                            host.name() + ": unit " + unit.name()
                                    + " under sys/class/iommu is of no known vendor; known: "
                                    + providers.stream()
                                            .map(TranslationUnitProvider::name)
                                            .sorted()
                                            .toList())));
        }
        if (host.functions().isEmpty()) {
            throw new InputException(host.name() + ": no PCI function under sys/bus/pci/devices");
        }
        if (units.isEmpty()) {
            String what = host.name() + ": no IOMMU is in use on this host, nothing is under sys/class/iommu"
                    + (vendors.claiming(firmware).isEmpty()
                            ? ""
                            : " although firmware describes one (is it off on the kernel's command line?)");
            if (host.iommuInUse() != Answer.NO) {
                throw new InputException(what);
            }
            throw new NotApplicableException(NotApplicable.MACHINE_LACKS, what);
        }
        List<FunctionDescription> functions = new ArrayList<>();
        // What is below a VMD is no requester to the host's units.
        for (FunctionEvidence function : host.requesters()) {
            functions.add(new FunctionDescription(
                    function.address(),
                    function.upstreamBridge(),
                    wholeConfig(host, function),
                    function.unit().map(Fact::value),
                    false));
        }
        MachineDescription machine = new MachineDescription(
                host.name(),
                ProcessorDescription.x86(CPUS, virtualization(host, vendors), CacheGeometry.ORDINARY),
                MEMORY_BYTES,
                units,
                functions,
                host.tables(),
                host.interruptRemapping() != Answer.NO ? BootOptions.DEFAULT : BootOptions.NO_INTERRUPT_REMAPPING);
        return machine.withDeviceTree(firmware.deviceTree());
    }

    /** Where no input names the CPUs, the vendor knows those beside its units; without one no guest runs. */
    private static HardwareVirtualization virtualization(HostEvidence host, IommuVendors vendors) {
        if (host.virtualization().isPresent()) {
            return host.virtualization().get().value();
        }
        try {
            return vendors.claiming(host.firmware()).stream()
                    .map(each -> each.describe(host.firmware(), host.topology(), host.registers(), LinuxRelease.NEWEST))
                    .flatMap(description -> Stream.ofNullable(description.virtualization()))
                    .findFirst()
                    .orElse(HardwareVirtualization.NONE);
        } catch (MalformedTableException e) {
            throw new InputException(host.name() + ": " + e.getMessage(), e);
        }
    }

    /** Else a PCI Express device would pass for one that can't send no-snoop, and its bridges for ones without ACS. */
    private static byte[] wholeConfig(HostEvidence host, FunctionEvidence function) {
        byte[] config = function.configBytes();
        if (config.length < ConfigSpace.CONVENTIONAL_BYTES) {
            throw new InputException(host.name() + ": " + config.length + " bytes of the configuration space of "
                    + function.address()
                    + " are known, expected 256 or 4096: without root Linux shows 64, which hides all capabilities");
        }
        return config;
    }

    private static Optional<TranslationUnitSpec> recognise(
            HostEvidence host, TranslationUnitProvider provider, UnitEvidence unit, FirmwareTables firmware) {
        Map<String, Long> registers = new TreeMap<>();
        host.registersOfEveryUnit().forEach((register, value) -> registers.put(register, value.value()));
        unit.registers().forEach((register, value) -> registers.put(register, value.value()));
        ShownUnit known = new ShownUnit(unit.registerBase(), registers, Answer.YES);
        try {
            return provider.recognise(unit.name(), unit.attributes(), known, firmware);
        } catch (IllegalArgumentException e) {
            throw new InputException(host.name() + ": unit " + unit.name() + ": " + e.getMessage(), e);
        }
    }
}
