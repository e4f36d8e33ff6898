// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.SourceIdRange;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.ShownUnit;

/**
 * Builds RISC-V IOMMUs, recognises those of captured hosts, and describes machines that have one.
 *
 * <p>A unit's specification has the value of {@code capabilities}. It may also have {@code fctl}, its value after a
 * reset; and {@code icvec} and {@code iommu_qosid}, the bits that exist.
 */
public final class RiscvSilicon implements TranslationUnitProvider {
    /** The provider's name. */
    public static final String NAME = "riscv";

    /**
     * The value of {@code capabilities} of a unit with everything that is modelled, but the other byte order and QoS
     * ids: Sv57 and Sv57x4 and the smaller ones, Svpbmt, Svrsw60t59b, both MSI modes, updates of accessed and dirty
     * bits, ATS, T2GPA, MSI and wires, debug registers, all process directories, NL and S; physical addresses of 56
     * bits.
     */
    public static final long CAPABILITIES_FULL = 0xdf8_a7ee_ce10L;

    /**
     * The value of {@code capabilities} of a small unit: Sv39 without second stage, MSI tables, ATS or process
     * directories; wires only; physical addresses of 46 bits. Its device contexts have the base format.
     */
    public static final long CAPABILITIES_SMALL = 0x2e_1000_0210L;

    private static final String LINUX_PREFIX = "riscv-iommu@";

    /** For {@link java.util.ServiceLoader}. */
    public RiscvSilicon() {}

    @Override
    public String name() {
        return NAME;
    }

    /**
     * Machines whose unit is a platform device with everything, the same with a device tree for RIMT, a PCI function,
     * and small.
     */
    @Override
    public List<MachineDescription> machines() {
        return List.of(
                RiscvMachine.platform(NAME, CAPABILITIES_FULL),
                RiscvMachine.withDeviceTree(NAME + "-dt", CAPABILITIES_FULL),
                RiscvMachine.pci(NAME + "-pci", CAPABILITIES_FULL),
                RiscvMachine.platform(NAME + "-small", CAPABILITIES_SMALL));
    }

    /**
     * Describes a unit whose device ids are requester ids.
     *
     * @param name as Linux shows it, for example {@code riscv-iommu@0000:00:03.0}
     * @param registerBase physical address of its registers, 4 KiB aligned
     * @param capabilities the value of {@code capabilities}
     */
    public static TranslationUnitSpec unit(String name, long registerBase, long capabilities) {
        return RiscvMachine.unit(name, registerBase, capabilities);
    }

    /**
     * Describes a machine like {@code riscv} whose unit has other features.
     *
     * @param name the machine's name
     * @param capabilities the value of {@code capabilities}
     */
    public static MachineDescription machine(String name, long capabilities) {
        Objects.requireNonNull(name, "name");
        return RiscvMachine.platform(name, capabilities);
    }

    /**
     * Recognises a unit by its name, as Linux shows no attributes of it. Features that are not modelled are left out of
     * its {@code capabilities}; its device ids are those of firmware's RIMT, or of its device tree.
     */
    @Override
    public Optional<TranslationUnitSpec> recognise(
            String name, Map<String, String> attributes, ShownUnit known, FirmwareTables firmware) {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(attributes, "attributes");
        Objects.requireNonNull(known, "known");
        Objects.requireNonNull(firmware, "firmware");
        if (!name.startsWith(LINUX_PREFIX)) {
            return Optional.empty();
        }
        Long capabilities = known.registers().get(Features.REGISTER);
        if (capabilities == null || known.registerBase().isEmpty()) {
            throw new IllegalArgumentException(
                    name + ": expected the register " + Features.REGISTER + " and the address of the registers");
        }
        long base = known.registerBase().getAsLong();
        TranslationUnitSpec unit = unit(name, base, capabilities & ~Features.NOT_MODELLED);
        new Features(unit); // refuses what is no unit's
        String device = name.substring(LINUX_PREFIX.length());
        List<SourceIdRange> ids = RimtReader.sourceIds(device, base, firmware);
        return Optional.of(
                unit.withSourceIds(ids.isEmpty() ? DeviceTreeReader.sourceIds(device, base, firmware) : ids));
    }

    @Override
    public Optional<TableReader> reader(RegisterDump registers, Fabric memory) {
        Objects.requireNonNull(registers, "registers");
        Objects.requireNonNull(memory, "memory");
        return RiscvTableReader.of(registers, memory);
    }

    @Override
    public TranslationUnit create(TranslationUnitSpec spec, Fabric fabric) {
        Objects.requireNonNull(spec, "spec");
        Objects.requireNonNull(fabric, "fabric");
        return new RiscvUnit(spec, fabric);
    }
}
