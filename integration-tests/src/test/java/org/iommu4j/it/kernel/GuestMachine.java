// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;
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
    private static final Workbench WORKBENCH = Workbench.create();
    private static final Map<String, MachineDescription> CAPTURED = new ConcurrentHashMap<>();

    private final Transcript transcript;
    private final Machine machine;
    private final IommuCore core;

    GuestMachine(Transcript transcript) {
        this.transcript = transcript;
        machine = MachineFactory.load().create(KernelHost.withSouthBridge(describe(transcript.hardware()), transcript));
        core = IommuCore.open(
                IommuVendors.load().open(machine.vendorContext(transcript.release())),
                machine.topology(),
                DefaultDomainPolicy.DMA);
        if (transcript.hasDriver("nvme")) {
            core.group(KernelHost.NVME)
                    .orElseThrow()
                    .useDefaultDomain(core.device(KernelHost.NVME).orElseThrow());
        }
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
            return EduDevice.withRegisters(WORKBENCH.describe(WORKBENCH.read(file)));
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
