// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.sim.vtd.DmarWriter;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioOptions;
import org.iommu4j.workbench.Workbench;

/**
 * A transcript's machine, with drivers of its kernel's release, core and VFIO over our silicon: the functions are those
 * of a captured guest of the same shape, the unit's registers those of the head lines.
 */
final class KernelHost {
    /** Where the kernel finds the second unit, on machines that have two. */
    private static final long SECOND_UNIT = 0xfed91000L;

    private static final int ECAP = 0x10;
    private static final int CLASS_SMBUS = 0x0c0500;

    /** ECAP.NEST, which silicon gets where the kernel's copy got it. */
    private static final long NEST = 1L << 26;

    /** ECAP.SMPWC, likewise. */
    private static final long SMPWC = 1L << 48;

    private static final Workbench WORKBENCH = Workbench.create();
    private static final Map<String, MachineDescription> SHAPES = new HashMap<>();

    /** The first EDU device, alone in its group. */
    static final PciAddress FIRST = PciAddress.parse("0000:00:05.0");
    /** The second, alone too. */
    static final PciAddress SECOND = PciAddress.parse("0000:00:0b.0");
    /** One whose group has a function for a kernel's driver. */
    static final PciAddress THIRD = PciAddress.parse("0000:00:0c.0");
    /** That function, an NVMe controller. */
    private static final PciAddress NVME = PciAddress.parse("0000:00:0c.1");
    /** Two functions of one group. */
    static final PciAddress FOURTH = PciAddress.parse("0000:00:0a.0");
    /** The other of them. */
    static final PciAddress FIFTH = PciAddress.parse("0000:00:0a.1");

    private static final List<PciAddress> REGISTERED = List.of(FIRST, SECOND, THIRD, FOURTH, FIFTH);

    final Machine machine;
    final IommuCore core;
    final Vfio vfio;
    final Map<PciAddress, VfioDevice> registered = new HashMap<>();

    private KernelHost(MachineDescription description, LinuxRelease release, Map<Long, Long> kernelsEcap) {
        machine = MachineFactory.load().createFlat(description);
        VendorContext context = machine.vendorContext(release);
        VendorContext changed = context.withRegisters(withEcap(context.registers(), kernelsEcap));
        core = IommuCore.open(
                List.of(IommuVendors.load().claiming(machine.firmware()).get(0).open(changed)),
                machine.topology(),
                DefaultDomainPolicy.DMA);
        vfio = new Vfio(core, VfioOptions.DEFAULT.withRelease(release));
        for (PciAddress address : REGISTERED) {
            registered.put(address, vfio.register(address));
        }
    }

    /** Makes the machine of a transcript. */
    static KernelHost of(Transcript transcript) {
        GuestHardware hardware = transcript.hardware();
        MachineDescription shape = shape(hardware.isIntel() ? "intel-sc1" : "amd-qemu11");
        OptionalLong or = Optional.ofNullable(transcript.commandLine().get("qor"))
                .map(bits -> OptionalLong.of(Long.decode(bits)))
                .orElse(OptionalLong.empty());
        Map<String, Long> registers = new HashMap<>();
        Map<Long, Long> kernelsEcap = new HashMap<>();
        TranslationUnitSpec unit = shape.units().get(0);
        if (hardware.isIntel()) {
            long ecap = hardware.extendedCapabilities().orElseThrow();
            registers.put("CAP", hardware.capabilities().orElseThrow());
            registers.put("ECAP", ecap | (or.orElse(0) & (NEST | SMPWC)));
            kernelsEcap.put(unit.registerBase(), ecap | or.orElse(0));
        } else {
            registers.put("EFR", hardware.extendedFeatures().orElseThrow());
        }
        MachineDescription machine = shape.withUnits(List.of(with(unit, unit.name(), unit.registerBase(), registers)));
        KernelHost host = new KernelHost(withSouthBridge(machine, transcript), transcript.release(), kernelsEcap);
        if (transcript.hasDriver("nvme")) {
            host.core
                    .group(NVME)
                    .orElseThrow()
                    .useDefaultDomain(host.core.device(NVME).orElseThrow());
        }
        return host;
    }

    /**
     * Makes a machine with two units, of which the second serves some functions and the first all others. Silicon has
     * snoop control in both; the kernel's copy of their capabilities says who is believed to have it.
     */
    static KernelHost ofTwoUnits(
            Transcript transcript, Set<PciAddress> behindSecond, boolean firstSnoops, boolean secondSnoops) {
        MachineDescription shape = shape("intel-sc1");
        TranslationUnitSpec unit = shape.units().get(0);
        long ecap = transcript.hardware().extendedCapabilities().orElseThrow();
        Map<String, Long> registers =
                Map.of("CAP", transcript.hardware().capabilities().orElseThrow(), "ECAP", ecap | 1L << 7);
        TranslationUnitSpec first = with(unit, "dmar1", unit.registerBase(), registers);
        TranslationUnitSpec second = with(unit, "dmar0", SECOND_UNIT, registers);
        Map<String, byte[]> tables = new HashMap<>(shape.acpiTables());
        DmarWriter dmar = new DmarWriter(48).unit(SECOND_UNIT, false);
        behindSecond.forEach(each -> dmar.endpoint(0, each.device(), each.function()));
        tables.put("DMAR", dmar.unit(unit.registerBase(), true).build());
        List<FunctionDescription> functions = shape.functions().stream()
                .map(each -> new FunctionDescription(
                        each.address(),
                        each.upstreamBridge(),
                        each.config(),
                        each.unit().map(name -> behindSecond.contains(each.address()) ? "dmar0" : "dmar1"),
                        each.externalFacing(),
                        each.barSizes()))
                .toList();
        MachineDescription machine =
                shape.withUnits(List.of(second, first)).withFunctions(functions).withAcpiTables(tables);
        return new KernelHost(
                machine,
                transcript.release(),
                Map.of(
                        unit.registerBase(),
                        firstSnoops ? ecap | 1L << 7 : ecap & ~(1L << 7),
                        SECOND_UNIT,
                        secondSnoops ? ecap | 1L << 7 : ecap & ~(1L << 7)));
    }

    private static synchronized MachineDescription shape(String capture) {
        return SHAPES.computeIfAbsent(
                capture,
                name -> EduDevice.withRegisters(WORKBENCH
                        .describe(WORKBENCH.read(Path.of(
                                Objects.requireNonNull(KernelHost.class.getResource("/captures/" + name + ".tar"), name)
                                        .getPath())))
                        .withBootOptions(BootOptions.DEFAULT)));
    }

    /** Returns a unit by another name, elsewhere, with other registers. */
    static TranslationUnitSpec with(TranslationUnitSpec unit, String name, long base, Map<String, Long> changed) {
        Map<String, Long> registers = new HashMap<>(unit.registers());
        registers.putAll(changed);
        return new TranslationUnitSpec(
                unit.provider(), name, unit.segment(), base, unit.registerSize(), registers, unit.sourceIds());
    }

    /** Adds the function from which IVRS has the I/O APIC send, if the transcript's machine has it. */
    private static MachineDescription withSouthBridge(MachineDescription machine, Transcript transcript) {
        if (!transcript.machine().equals("amd-sb")) {
            return machine;
        }
        List<FunctionDescription> functions = new ArrayList<>(machine.functions());
        String unit = machine.units().get(0).name();
        functions.add(new FunctionDescription(
                PciAddress.parse("0000:00:14.0"),
                Optional.empty(),
                ConfigSpaceBuilder.conventional(0x1af4, 0x1001, CLASS_SMBUS).build(),
                Optional.of(unit),
                false));
        functions.sort(Comparator.comparing(FunctionDescription::address));
        return machine.withFunctions(functions);
    }

    /** Has the driver read other extended capabilities than silicon has. */
    private static RegisterSpace withEcap(RegisterSpace registers, Map<Long, Long> ecaps) {
        return (base, size) -> {
            RegisterWindow window = registers.map(base, size);
            Long ecap = ecaps.get(base);
            return ecap == null ? window : new ChangedWindow(window, ecap);
        };
    }

    /** A window onto registers with another ECAP. */
    private record ChangedWindow(RegisterWindow window, long ecap) implements RegisterWindow {
        @Override
        public int read32(int offset) {
            return offset == ECAP ? (int) ecap : offset == ECAP + 4 ? (int) (ecap >>> 32) : window.read32(offset);
        }

        @Override
        public long read64(int offset) {
            return offset == ECAP ? ecap : window.read64(offset);
        }

        @Override
        public void write32(int offset, int value) {
            window.write32(offset, value);
        }

        @Override
        public void write64(int offset, long value) {
            window.write64(offset, value);
        }

        @Override
        public void release() {
            window.release();
        }
    }

    /** Makes VFIO anew with the same devices, as if its modules were loaded with other parameters. */
    Vfio newVfio(VfioOptions options) {
        Vfio made = new Vfio(core, options);
        REGISTERED.forEach(made::register);
        return made;
    }

    /** Returns the number of a device's group. */
    int groupOf(PciAddress device) {
        return core.group(device).orElseThrow().id();
    }

    /** Makes a process with a limit of locked memory that only counts without CAP_IPC_LOCK. */
    UserProcess process(long limit, boolean capIpcLock) {
        return machine.newProcess(limit, capIpcLock);
    }
}
