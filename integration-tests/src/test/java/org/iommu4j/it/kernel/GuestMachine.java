// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.sim.vtd.DmarWriter;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioOptions;
import org.iommu4j.workbench.Workbench;

/**
 * The machine of a transcript, built here: our drivers under the kernel's release, on our silicon.
 *
 * <p>Its functions and tables are those of a host that was captured on the same machine of QEMU; its unit has the
 * registers that the transcript's kernel printed. The kernel drivers that the guest loaded are bound.
 */
final class GuestMachine {
    /** The guest's drivers, unless the command line names others; but for those of devices behind bridges. */
    private static final List<String> DRIVERS = List.of("virtio_pci", "virtio_blk", "nvme");

    /** The second function of {@code qdev3}'s device, an NVMe controller. */
    private static final PciAddress NVME = PciAddress.parse("0000:00:0c.1");

    /** ECAP.SC. */
    private static final long SNOOP_CONTROL = 1L << 7;

    private static final long SECOND_UNIT = 0xfed9_1000L;
    private static final int HOST_ADDRESS_WIDTH = 48;

    private static final Workbench WORKBENCH = Workbench.create();
    private static final Map<String, MachineDescription> CAPTURED = new ConcurrentHashMap<>();

    private final Transcript transcript;
    private final Machine machine;
    private final IommuCore core;

    GuestMachine(Transcript transcript) {
        this(transcript, describe(transcript.hardware()));
    }

    private GuestMachine(Transcript transcript, MachineDescription description) {
        this.transcript = transcript;
        machine = MachineFactory.load().create(description);
        core = IommuCore.open(
                IommuVendors.load().open(machine.vendorContext(transcript.release())),
                machine.topology(),
                DefaultDomainPolicy.DMA);
        if (hasDriver("nvme")) {
            core.group(NVME).orElseThrow().useDefaultDomain(core.device(NVME).orElseThrow());
        }
    }

    /**
     * Makes a machine of two units of VT-d, which the guest had only for its driver: a debugger changed snoop control
     * in the driver's copy of the one unit's ECAP.
     *
     * @param others whether the unit of all other functions has snoop control
     * @param second whether the unit of {@code qdev2} has
     */
    static GuestMachine ofTwoUnits(Transcript transcript, boolean others, boolean second) {
        MachineDescription one = describe(transcript.hardware());
        TranslationUnitSpec unit = one.units().get(0);
        PciAddress device = PciAddress.parse(transcript.commandLine().get("qdev2"));
        Map<String, byte[]> tables = new HashMap<>(one.acpiTables());
        tables.put(
                "DMAR",
                new DmarWriter(HOST_ADDRESS_WIDTH)
                        .unit(SECOND_UNIT, false)
                        .endpoint(device.bus(), device.device(), device.function())
                        .unit(unit.registerBase(), true)
                        .build());
        MachineDescription two = one.withUnits(List.of(
                        withSnoopControl(unit, unit.name(), unit.registerBase(), others),
                        withSnoopControl(unit, "second", SECOND_UNIT, second)))
                .withAcpiTables(tables)
                .withFunctions(one.functions().stream()
                        .map(function -> function.address().equals(device) ? behindSecond(function) : function)
                        .toList());
        return new GuestMachine(transcript, two);
    }

    private static TranslationUnitSpec withSnoopControl(
            TranslationUnitSpec unit, String name, long registerBase, boolean has) {
        Map<String, Long> registers = new HashMap<>(unit.registers());
        registers.computeIfPresent("ECAP", (ecap, value) -> has ? value | SNOOP_CONTROL : value & ~SNOOP_CONTROL);
        return new TranslationUnitSpec(
                unit.provider(), name, unit.segment(), registerBase, unit.registerSize(), registers);
    }

    private static FunctionDescription behindSecond(FunctionDescription function) {
        return new FunctionDescription(
                function.address(),
                function.upstreamBridge(),
                function.config(),
                Optional.of("second"),
                function.externalFacing());
    }

    /** Returns whether the guest had loaded a driver. */
    private boolean hasDriver(String name) {
        String named = transcript.commandLine().get("qdrv");
        return named == null
                ? DRIVERS.contains(name)
                : List.of(named.split(",", -1)).contains(name);
    }

    private static MachineDescription describe(GuestHardware hardware) {
        MachineDescription captured = captured(hardware.isIntel() ? "intel-sc1" : "amd-qemu11");
        return captured.withUnits(captured.units().stream()
                .map(unit -> withRegisters(unit, hardware))
                .toList());
    }

    private static MachineDescription captured(String name) {
        return CAPTURED.computeIfAbsent(name, each -> {
            Path file =
                    Path.of(Objects.requireNonNull(GuestMachine.class.getResource("/captures/" + each + ".tar"), each)
                            .getPath());
            return WORKBENCH.describe(WORKBENCH.read(file));
        });
    }

    private static TranslationUnitSpec withRegisters(TranslationUnitSpec unit, GuestHardware hardware) {
        Map<String, Long> registers = new HashMap<>(unit.registers());
        hardware.capabilities().ifPresent(value -> registers.put("CAP", value));
        hardware.extendedCapabilities().ifPresent(value -> registers.put("ECAP", value));
        hardware.extendedFeatures().ifPresent(value -> registers.put("EFR", value));
        return new TranslationUnitSpec(
                unit.provider(),
                unit.name(),
                unit.segment(),
                unit.registerBase(),
                unit.registerSize(),
                registers,
                unit.sourceIds());
    }

    /** Returns the silicon. */
    Machine machine() {
        return machine;
    }

    /** Returns the modules' parameters as the guest had them. */
    VfioOptions options() {
        return VfioOptions.DEFAULT.withRelease(transcript.release());
    }

    /** Makes VFIO with the devices registered that the guest bound to it. */
    Vfio vfio(VfioOptions options) {
        Vfio vfio = new Vfio(core, options);
        for (String option : List.of("qdev", "qdev2", "qdev3")) {
            vfio.register(device(option));
        }
        return vfio;
    }

    /** Returns the device that an option of the command line names. */
    PciAddress device(String option) {
        return PciAddress.parse(Objects.requireNonNull(transcript.commandLine().get(option), option));
    }

    /** Returns the number of a device's group. */
    int groupOf(PciAddress device) {
        return core.group(device).orElseThrow().id();
    }

    /** Makes root's process, which has CAP_IPC_LOCK. */
    UserProcess rootProcess() {
        return machine.newProcess(0, true);
    }
}
